/**
 * A class of objects as those see it who call them: ids, and stubs.
 */
import { send } from "../../fetch.ts";
import { INTERNAL } from "../../internal.ts";
import { OBJECT_ID, call } from "../../native.ts";
import { TypeError, isObject, promiseRejected, setPrototypeOf, toStr, webClass } from "../../primordials.ts";
import { requestState } from "../../request.ts";
import type { Response } from "../../response.ts";
import { callFeature, membersBy } from "../../service.ts";

const OF_NAME = 0;
const UNIQUE = 1;
const OF_TEXT = 2;

let idOf: (value: any) => [text: string, name: string | undefined];

/** Which object it is. */
export class DurableObjectId {
  #text: string;
  #name: string | undefined;

  constructor(token: unknown, text: string, name: string | undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#text = text;
    this.#name = name;
  }

  static {
    idOf = (value) => {
      if (!isObject(value) || !(#text in value)) throw new TypeError("this is no DurableObjectId");
      return [value.#text, value.#name];
    };
  }

  /** What it was made of, if that is known. */
  get name(): string | undefined {
    return this.#name;
  }

  toString(): string {
    return this.#text;
  }

  equals(other: any): boolean {
    return idOf(other)[0] === this.#text;
  }
}
webClass(DurableObjectId);

let targetOf: (stub: any) => string;

/** One object, to be called: with `fetch`, or by its methods. */
export class DurableObjectStub {
  #target: string;
  #id: DurableObjectId;

  constructor(token: unknown, target: string, id: DurableObjectId) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#target = target;
    this.#id = id;
  }

  static {
    targetOf = (stub) => stub.#target;
  }

  get id(): DurableObjectId {
    return this.#id;
  }

  get name(): string | undefined {
    return this.#id.name;
  }

  fetch(input: any, init: any = undefined): Promise<Response> {
    const target = this.#target;
    try {
      return send(requestState(input, init, true), target);
    } catch (error) {
      return promiseRejected(error);
    }
  }
}
webClass(DurableObjectStub);
setPrototypeOf(DurableObjectStub.prototype, membersBy((stub, name) => callFeature().bindingMember(targetOf(stub), name)));

/** `env.ROOM` */
export class DurableObjectNamespace {
  #binding: number;
  /** The name that was asked for last, and its id. */
  #lastName: string | undefined = undefined;
  #lastId = "";

  constructor(token: unknown, binding: number) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  idFromName(name: any): DurableObjectId {
    if (arguments.length === 0) throw new TypeError("idFromName needs a name");
    const text = toStr(name);
    if (text !== this.#lastName) {
      this.#lastId = call(OBJECT_ID, this.#binding, OF_NAME, text);
      this.#lastName = text;
    }
    return new DurableObjectId(INTERNAL, this.#lastId, text);
  }

  /** One that no object has had. */
  newUniqueId(_options: any = undefined): DurableObjectId {
    return new DurableObjectId(INTERNAL, call(OBJECT_ID, this.#binding, UNIQUE, null), undefined);
  }

  idFromString(text: any): DurableObjectId {
    return new DurableObjectId(INTERNAL, call(OBJECT_ID, this.#binding, OF_TEXT, toStr(text)), undefined);
  }

  get(id: any, _options: any = undefined): DurableObjectStub {
    const [text, name] = idOf(id);
    const target = name === undefined ? `${this.#binding}:${text}` : `${this.#binding}:${text}:${name}`;
    return new DurableObjectStub(INTERNAL, target, id);
  }

  getByName(name: any, options: any = undefined): DurableObjectStub {
    return this.get(this.idFromName(name), options);
  }

  /** A node is in one place, so it is the same. */
  jurisdiction(_jurisdiction: any): DurableObjectNamespace {
    void this.#binding;
    return this;
  }
}
webClass(DurableObjectNamespace);

export function makeNamespace(binding: number): DurableObjectNamespace {
  return new DurableObjectNamespace(INTERNAL, binding);
}
