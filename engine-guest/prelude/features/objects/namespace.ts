/**
 * A class of objects as those see it who call them: ids, and stubs.
 */
import { sendTo } from "../../fetch.ts";
import { INTERNAL } from "../../internal.ts";
import { OBJECT_ID, call } from "../../native.ts";
import { TypeError, isObject, setPrototypeOf, toStr, webClass } from "../../primordials.ts";
import type { Response } from "../../response.ts";
import { callFeature, membersBy } from "../../service.ts";

const OF_NAME = 0;
const UNIQUE = 1;
const OF_TEXT = 2;

type IdState = [text: string, name: string | undefined];

let stateOf: (value: any) => IdState;

/** Which object it is. */
export class DurableObjectId {
  #state: IdState;

  constructor(token: unknown, text: string, name: string | undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = [text, name];
  }

  static {
    stateOf = (value) => {
      if (!isObject(value) || !(#state in value)) throw new TypeError("this is no DurableObjectId");
      return value.#state;
    };
  }

  /** What it was made of, if that is known. */
  get name(): string | undefined {
    return this.#state[1];
  }

  toString(): string {
    return this.#state[0];
  }

  equals(other: any): boolean {
    return stateOf(other)[0] === this.#state[0];
  }
}
webClass(DurableObjectId);

let targetOf: (stub: any) => string;

/** One object, to be called: with `fetch`, or by its methods. */
export class DurableObjectStub {
  #state: [target: string, id: DurableObjectId];

  constructor(token: unknown, target: string, id: DurableObjectId) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = [target, id];
  }

  static {
    targetOf = (stub) => stub.#state[0];
  }

  get id(): DurableObjectId {
    return this.#state[1];
  }

  get name(): string | undefined {
    return this.#state[1].name;
  }

  fetch(input: any, init: any = undefined): Promise<Response> {
    return sendTo(this.#state[0], input, init);
  }
}
webClass(DurableObjectStub);
setPrototypeOf(DurableObjectStub.prototype, membersBy((stub, name) => callFeature().bindingMember(targetOf(stub), name)));

type NamespaceState = [
  binding: number,
  /** What an id was made of last, and that id. */
  name: string | undefined, text: string,
  /** What was called last: the state of its id, and how the host is told of it. */
  called: IdState | null, target: string,
];

/** `env.ROOM` */
export class DurableObjectNamespace {
  #state: NamespaceState;

  constructor(token: unknown, binding: number) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = [binding, undefined, "", null, ""];
  }

  idFromName(name: any): DurableObjectId {
    if (arguments.length === 0) throw new TypeError("idFromName needs a name");
    const text = toStr(name);
    const state = this.#state;
    if (text !== state[1]) {
      state[2] = call(OBJECT_ID, state[0], OF_NAME, text);
      state[1] = text;
    }
    return new DurableObjectId(INTERNAL, state[2], text);
  }

  /** One that no object has had. */
  newUniqueId(_options: any = undefined): DurableObjectId {
    return new DurableObjectId(INTERNAL, call(OBJECT_ID, this.#state[0], UNIQUE, null), undefined);
  }

  idFromString(text: any): DurableObjectId {
    return new DurableObjectId(INTERNAL, call(OBJECT_ID, this.#state[0], OF_TEXT, toStr(text)), undefined);
  }

  get(id: any, _options: any = undefined): DurableObjectStub {
    const wanted = stateOf(id);
    const state = this.#state;
    const called = state[3];
    if (called === null || called[0] !== wanted[0] || called[1] !== wanted[1]) {
      state[3] = wanted;
      state[4] = wanted[1] === undefined ? `${state[0]}:${wanted[0]}` : `${state[0]}:${wanted[0]}:${wanted[1]}`;
    }
    return new DurableObjectStub(INTERNAL, state[4], id);
  }

  getByName(name: any, options: any = undefined): DurableObjectStub {
    return this.get(this.idFromName(name), options);
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
