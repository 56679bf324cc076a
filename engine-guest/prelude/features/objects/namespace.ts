/**
 * A class of objects as those see it who call them: ids, and stubs.
 */
import { sendTo, sendWhole } from "../../fetch.ts";
import { INTERNAL } from "../../internal.ts";
import { OBJECT_ID, call, makeObjectId, makeStub, stateOfObjectId, stateOfStub } from "../../native.ts";
import { TypeError, promiseRejected, setPrototypeOf, toStr, webClass } from "../../primordials.ts";
import { peekRequest } from "../../request.ts";
import type { Response } from "../../response.ts";
import { callFeature, membersBy } from "../../service.ts";
import { BODY, SIGNAL } from "../../state.ts";

const OF_NAME = 0;
const UNIQUE = 1;
const OF_TEXT = 2;

/** What lies beside an id and a stub. */
type IdState = [text: string, name: string | undefined];
type StubState = [target: string, id: DurableObjectId];

const TEXT = 0;
const NAME = 1;
const TARGET = 0;
const ID_OF_STUB = 1;

/** Which object it is. */
export class DurableObjectId {
  constructor() {
    throw new TypeError("Illegal constructor");
  }

  /** What it was made of, if that is known. */
  get name(): string | undefined {
    return stateOfObjectId(this)[NAME];
  }

  toString(): string {
    return stateOfObjectId(this)[TEXT];
  }

  equals(other: any): boolean {
    return stateOfObjectId(other)[TEXT] === stateOfObjectId(this)[TEXT];
  }
}
webClass(DurableObjectId);

const idPrototype = DurableObjectId.prototype;

export function makeId(text: string, name: string | undefined): DurableObjectId {
  return makeObjectId(idPrototype, [text, name]);
}

/** One object, to be called: with `fetch`, or by its methods. */
export class DurableObjectStub {
  constructor() {
    throw new TypeError("Illegal constructor");
  }

  get id(): DurableObjectId {
    return stateOfStub(this)[ID_OF_STUB];
  }

  get name(): string | undefined {
    return stateOfObjectId(stateOfStub(this)[ID_OF_STUB])[NAME];
  }

  fetch(input: any, init: any = undefined): Promise<Response> {
    const target = stateOfStub(this)[TARGET];
    // Most requests are those that came, as they are.
    const given = init === undefined ? peekRequest(input) : null;
    if (given !== null && given[BODY] === null && given[SIGNAL] === null) {
      try {
        return sendWhole(given, target);
      } catch (error) {
        return promiseRejected(error);
      }
    }
    return sendTo(target, input, init);
  }
}
webClass(DurableObjectStub);

const stubPrototype = DurableObjectStub.prototype;

setPrototypeOf(stubPrototype, membersBy((stub, name) => callFeature().bindingMember(stateOfStub(stub)[TARGET], name)));

type NamespaceState = [
  binding: number,
  /** What an id was made of last, and the state of that id, which others of the name share. */
  name: string | undefined, made: IdState | null,
  /** What was called last: the state of its id, and how the host is told of it. */
  called: IdState | null, target: string,
];

/** `env.ROOM` */
export class DurableObjectNamespace {
  #state: NamespaceState;

  constructor(token: unknown, binding: number) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = [binding, undefined, null, null, ""];
  }

  idFromName(name: any): DurableObjectId {
    if (name === undefined) throw new TypeError("idFromName needs a name");
    const text: string = typeof name === "string" ? name : toStr(name);
    const state = this.#state;
    if (text !== state[1]) {
      state[2] = [call(OBJECT_ID, state[0], OF_NAME, text), text];
      state[1] = text;
    }
    return makeObjectId(idPrototype, state[2]!);
  }

  /** One that no object has had. */
  newUniqueId(_options: any = undefined): DurableObjectId {
    return makeId(call(OBJECT_ID, this.#state[0], UNIQUE, null), undefined);
  }

  idFromString(text: any): DurableObjectId {
    return makeId(call(OBJECT_ID, this.#state[0], OF_TEXT, toStr(text)), undefined);
  }

  /** Of its options none means anything here. */
  get(id: any): DurableObjectStub {
    const wanted: IdState = stateOfObjectId(id);
    const state = this.#state;
    const called = state[3];
    if (called !== wanted && (called === null || called[TEXT] !== wanted[TEXT] || called[NAME] !== wanted[NAME])) {
      const target = `${state[0]}:${wanted[TEXT]}`;
      state[3] = wanted;
      state[4] = wanted[NAME] === undefined ? target : `${target}:${wanted[NAME]}`;
    }
    return makeStub(stubPrototype, [state[4], id]);
  }

  getByName(name: any): DurableObjectStub {
    return this.get(this.idFromName(name));
  }

  /** A node is in one place, so it is the same. */
  jurisdiction(_jurisdiction: any): DurableObjectNamespace {
    void this.#state;
    return this;
  }
}
webClass(DurableObjectNamespace);

export function makeNamespace(binding: number): DurableObjectNamespace {
  return new DurableObjectNamespace(INTERNAL, binding);
}
