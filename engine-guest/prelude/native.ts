/**
 * The one door to the host: takes `globalThis.__sv`, deletes it, and names every code that crosses.
 *
 * The functions of `__sv` are plain native functions that ignore `this`, so they are taken apart here once;
 * a module-level function is cheaper to call in QuickJS than a method. The tables in README.md say what each code
 * means and what it answers.
 */
import type { RequestState, ResponseState } from "./state.ts";

/** What may cross: `undefined`, `null`, booleans, numbers, strings, bytes, and arrays of these. */
export type Wire = undefined | null | boolean | number | string | Uint8Array | ArrayBuffer | Wire[];

export type Dispatch = (kind: number, id: number, ...args: any[]) => void | Promise<unknown>;

export interface Native {
  call(code: number, ...args: Wire[]): any;
  start(code: number, ...args: Wire[]): number;
  /**
   * A promise of an operation, which is settled already if nothing had to be waited for. `late` makes of what comes
   * later, a value or an error, what the promise gets.
   */
  ask(late: ((ok: boolean, value: any) => unknown) | undefined, code: number, ...args: Wire[]): Promise<any>;
  /**
   * The same, given up when the client of the request leaves (`abandon`); 0 is nobody's. `made` makes of what the host
   * answers, now or later, what the promise gets, and is told `about` as well.
   */
  askFor(
    request: number, made: (ok: boolean, value: any, about: any) => unknown, about: unknown, code: number, ...args: Wire[]
  ): Promise<any>;
  /** What was asked for on behalf of a request ends with this reason. */
  abandon(request: number, reason: unknown): void;
  /** Has `fulfilled` or `rejected` called when a promise settles, with the state that `atEnd` was given and its end. */
  setEnds(fulfilled: (state: any, value: unknown) => void, rejected: (state: any, reason: unknown) => void): void;
  atEnd(promise: Promise<unknown>, state: unknown[]): void;
  /** Whether the answer to an event is a response that the host has, and that only `holders` ever will. */
  passOn(request: number, response: unknown, pending: boolean, holders: number): boolean;
  /** Of responses that the host has. */
  setResponsePrototype(prototype: object): void;
  /** Whether the host goes on alone with an operation whose end is the answer of the event. */
  handOver(operation: number, late: (ok: boolean, value: any, about: any) => unknown, invocation: unknown[], place: number): boolean;
  /**
   * A promise of what the host answers to a call, settled already. `made` makes of an answer that is a list what the
   * promise gets.
   */
  promised(made: (list: any) => unknown, code: number, ...args: Wire[]): Promise<any>;
  /** Gives the prototype of statements its methods: how a value crosses, `late` of a query, and what runs in transactions. */
  setStatements(
    prototype: object, crossing: (value: unknown) => Wire, late: (ok: boolean, value: any) => unknown,
    slow: (statement: any, form: number, column: string | undefined) => Promise<any>,
  ): void;
  makeStatement(target: object, binding: number, key: string | null, sql: string): any;
  /** [target, sql, values, whether integers are BigInts] */
  statementParts(statement: unknown): any;
  /**
   * Objects whose state, an array, no script reaches; of several kinds, which are told apart. `keep…` gives its state to what
   * `new` has just made, `peek…` answers null for what is none, `stateOf…` throws.
   */
  makeContext(prototype: object, state: unknown[]): any;
  makeObjectId(prototype: object, state: unknown[]): any;
  makeStub(prototype: object, state: unknown[]): any;
  makeRequest(prototype: object, state: unknown[]): any;
  makeResponse(prototype: object, state: unknown[]): any;
  makeUrl(prototype: object, state: unknown[]): any;
  keepRequest(made: object, state: unknown[]): void;
  keepResponse(made: object, state: unknown[]): void;
  keepUrl(made: object, state: unknown[]): void;
  peekRequest(value: unknown): RequestState | null;
  peekResponse(value: unknown): ResponseState | null;
  peekUrl(value: unknown): any;
  stateOfContext(value: unknown): any;
  stateOfObjectId(value: unknown): any;
  stateOfStub(value: unknown): any;
  stateOfRequest(value: unknown): RequestState;
  stateOfResponse(value: unknown): ResponseState;
  stateOfUrl(value: unknown): any;
  /** Getters that read such a state. */
  requestGetters: object;
  responseGetters: object;
  urlGetters: object;
  load(name: string): any;
  setDispatch(fn: Dispatch): void;
  setErrorFactory(fn: (name: string, message: string, code: string) => Error): void;
  respond(
    requestId: number, status: number, headerBlock: string, body: null | string | Uint8Array | true,
    streamId: number, pending: boolean, statusText: string,
  ): void;
  utf8Encode(text: string): Uint8Array;
  utf8Decode(bytes: Uint8Array, fatal: boolean, ignoreBOM: boolean): string;
  latin1ToBytes(text: string): Uint8Array;
  bytesToLatin1(bytes: Uint8Array): string;
  atob(text: string): string | null;
  btoa(text: string): string | null;
  /** -1, 0 or 1. */
  compareBytes(a: Uint8Array, b: Uint8Array): number;
  /** The first place at or after `from`, in steps of `step`; -1 for none. */
  findBytes(bytes: Uint8Array, needle: Uint8Array, from: number, step: number): number;
  utf16Decode(bytes: Uint8Array): string;
  setContext(context: number): void;
  getContext(): number;
  asyncContext(): any;
  /** Answers the previous one. */
  setAsyncContext(context: unknown): any;
  promiseState(promise: unknown): 0 | 1 | 2;
  promiseResult(promise: unknown): any;
  setRejectionTracker(fn: (promise: object, reason: unknown, handled: boolean) => void): void;
  /** What is called with an object that `makeCallable` made as its `this`. */
  setCallable(fn: (...args: any[]) => unknown): void;
  makeCallable(prototype: object): object;
  now(): number;
  callSite(): string | undefined;
  detach(buffer: ArrayBuffer): void;
  wasm(code: number, ...args: Wire[]): any;
  wasmFunction(instance: number, index: number, params: string, results: string): any;
  wasmImports(instance: number, functions: unknown[]): void;
  /** -1: there is no room; -2: there may be no more. */
  wasmMemory(pages: number, maximum: number): number;
  wasmBuffer(memory: number): ArrayBuffer;
  wasmGrow(memory: number, delta: number): number;
  wasmRefs(length: number, maximum: number, value: unknown): number;
  wasmRefsGet(table: number, at: number): any;
  wasmRefsSet(table: number, at: number, value: unknown): void;
  wasmRefsLength(table: number): number;
  wasmRefsGrow(table: number, value: unknown, delta: number): number;
}

const scope = globalThis as any;
const native: Native = scope.__sv;
delete scope.__sv;

export const {
  call, start, ask, askFor, abandon, handOver, passOn, setResponsePrototype,
  setEnds, atEnd, promised, setStatements, makeStatement, statementParts, makeContext,
  makeObjectId, makeStub, makeRequest, makeResponse, makeUrl, keepRequest, keepResponse, keepUrl, peekRequest,
  peekResponse, peekUrl, stateOfContext, stateOfObjectId, stateOfStub, stateOfRequest, stateOfResponse, stateOfUrl,
  requestGetters, responseGetters, urlGetters, load, setDispatch, setErrorFactory, respond, utf8Encode, utf8Decode,
  latin1ToBytes, bytesToLatin1, atob, btoa, compareBytes, findBytes, utf16Decode, setContext, getContext,
  asyncContext, setAsyncContext, promiseState, promiseResult, setRejectionTracker, setCallable, makeCallable, now,
  callSite, detach, wasm, wasmFunction, wasmImports, wasmMemory, wasmBuffer, wasmGrow, wasmRefs, wasmRefsGet,
  wasmRefsSet, wasmRefsLength, wasmRefsGrow,
} = native;

// Events: host → dispatch.
export const EVENT_START = 0;
export const EVENT_INIT = 1;
export const EVENT_FETCH = 2;
export const EVENT_COMPLETE = 3;
export const EVENT_ABORT = 4;
export const EVENT_SCHEDULED = 5;
export const EVENT_PRELOAD = 6;
export const EVENT_RPC = 7;
export const EVENT_RAN = 8;

// Events of durable objects.
export const EVENT_OBJECT_INIT = 440;
export const EVENT_OBJECT_ALARM = 441;
export const EVENT_OBJECT_MESSAGE = 442;
export const EVENT_OBJECT_CLOSED = 443;
export const EVENT_OBJECT_FETCH = 444;
export const EVENT_OBJECT_RPC = 445;

// Synchronous calls.
export const CALL_LOG = 1;
export const CALL_RANDOM = 3;
export const CALL_URL_PARSE = 4;
export const CALL_URL_SET = 5;
export const CALL_CANCEL = 6;
export const CALL_BODY_CANCEL = 7;
export const CALL_STREAM_OPEN = 8;
export const CALL_STREAM_CLOSE = 9;
export const CALL_STREAM_ABORT = 10;
export const CALL_DONE = 11;
export const CALL_FAIL = 12;
export const CALL_TEXT_LABEL = 140;
export const CALL_TEXT_DECODE = 141;
export const CALL_CODED = 142;
export const CALL_FEATURES = 22;
export const CALL_CODEC_OPEN = 160;
export const CALL_CODEC_STEP = 161;
export const CALL_HELD_DROP = 162;
export const CALL_SELECTOR_CHECK = 163;
export const CALL_REWRITER_OPEN = 164;
export const CALL_REWRITER_PARSE = 165;
export const CALL_REWRITER_FILL = 166;
export const CALL_SOCKET_OPEN = 190;
export const CALL_SOCKET_ANSWER = 191;
export const CALL_SOCKET_SEND = 192;
export const CALL_SOCKET_CLOSE = 193;
export const CALL_SOCKET_BUFFERED = 194;
export const CALL_STREAM_LINK = 60;

// What `wasm` is asked for.
export const WASM_VALIDATE = 1;
export const WASM_COMPILE = 2;
export const WASM_DESCRIBE = 3;
export const WASM_INSTANTIATE = 4;
export const WASM_GLOBAL_NEW = 5;
export const WASM_GLOBAL_GET = 6;
export const WASM_GLOBAL_SET = 7;
export const WASM_TABLE_NEW = 8;
export const WASM_TABLE_GET = 9;
export const WASM_TABLE_SET = 10;
export const WASM_TABLE_GROW = 11;
export const WASM_TABLE_SIZE = 12;

// Asynchronous operations.
export const OP_TIMER = 30;
export const OP_FETCH = 31;
export const OP_BODY_READ = 32;
export const OP_STREAM_WRITE = 33;
export const OP_SERVICE = 34;
export const OP_BODY_REST = 35;
export const OP_KV_GET = 40;
export const OP_KV_GET_MANY = 41;
export const OP_KV_PUT = 42;
export const OP_KV_DELETE = 43;
export const OP_KV_LIST = 44;
export const OP_KV_READ = 2600;
export const OP_SQL_QUERY = 2601;
export const OP_KV_COMMIT = 530;
export const OP_KV_ADD = 531;
export const OP_KV_CHANGES = 532;
export const OP_KV_LIST_MORE = 533;
export const OP_CACHE_MATCH = 180;
export const OP_CACHE_PUT = 181;
export const OP_CACHE_DELETE = 182;
export const OP_SOCKET_READ = 200;

// Operations on blob buckets.
export const OP_BLOB_HEAD = 490;
export const OP_BLOB_GET = 491;
export const OP_BLOB_PUT = 492;
export const OP_BLOB_DELETE = 493;
export const OP_BLOB_LIST = 494;
export const OP_BLOB_CREATE_UPLOAD = 495;
export const OP_BLOB_PUT_PART = 496;
export const OP_BLOB_COMPLETE = 497;
export const OP_BLOB_ABORT = 498;

// Computations of `crypto.subtle`: each is a call as well as an operation.
export const CRYPTO_DIGEST = 100;
export const CRYPTO_RUNNING_DIGEST = 101;
export const CRYPTO_HMAC = 102;
export const CRYPTO_HMAC_VERIFY = 103;
export const CRYPTO_EQUAL = 104;
export const CRYPTO_ENCRYPT = 105;
export const CRYPTO_DECRYPT = 106;
export const CRYPTO_HKDF = 107;
export const CRYPTO_PBKDF2 = 108;
export const CRYPTO_SIGN = 109;
export const CRYPTO_VERIFY = 110;
export const CRYPTO_GENERATE = 111;
export const CRYPTO_AGREE = 112;
export const CRYPTO_CURVE_IMPORT = 113;
export const CRYPTO_CURVE_EXPORT = 114;
export const CRYPTO_RSA_IMPORT = 115;
export const CRYPTO_RSA_PARTS = 116;
export const CRYPTO_RSA_ENCRYPT = 117;
export const CRYPTO_RSA_DECRYPT = 118;
// Computations of modules of Node.js.
export const CALL_HASH = 210;
export const CALL_CIPHER = 211;
export const CALL_KDF = 212;
export const CALL_ZIP = 213;
export const OP_KDF = 214;
export const OP_ZIP = 215;

// Calls of other workers' methods: calls, then operations.
export const RPC_OPEN = 300;
export const RPC_SEND = 301;
export const RPC_CLOSE = 302;
export const RPC_ANSWER = 303;
export const RPC_STACK = 304;
export const RPC_LIMIT = 305;
export const OP_RPC_CALL = 310;
export const OP_RPC_READ = 311;

// SQL.
export const OP_SQL_BATCH = 400;
export const OP_SQL_SCRIPT = 401;
export const OP_SQL_BEGIN = 402;
export const OP_SQL_RUN = 403;
export const OP_SQL_END = 404;
export const OP_SQL_STREAM = 405;
export const OP_SQL_NEXT = 406;
export const OP_SQL_CLOSE = 407;
// Durable objects: calls, then operations.
export const OBJECT_ID = 450;
export const OBJECT_GET = 451;
export const OBJECT_PUT = 452;
export const OBJECT_DELETE = 453;
export const OBJECT_LIST = 454;
export const OBJECT_DELETE_ALL = 455;
export const OBJECT_ALARM_GET = 456;
export const OBJECT_ALARM_SET = 457;
export const OBJECT_ALARM_OVER = 458;
export const OBJECT_BEGIN = 459;
export const OBJECT_END = 460;
export const OBJECT_BYTES = 461;
export const OBJECT_SQL = 462;
export const OBJECT_SOCKET_ACCEPT = 465;
export const OBJECT_SOCKET_SEND = 466;
export const OBJECT_SOCKET_CLOSE = 467;
export const OBJECT_SOCKETS = 468;
export const OBJECT_SOCKET_TAGS = 469;
export const OBJECT_ATTACH = 470;
export const OBJECT_ATTACHMENT = 471;
export const OBJECT_AUTO_SET = 472;
export const OBJECT_AUTO_GET = 473;
export const OBJECT_AUTO_TIME = 474;
export const OBJECT_ABORT = 475;
export const OP_OBJECT_SYNC = 480;
// One value of an object: calls.
export const OBJECT_READ = 2650;
export const OBJECT_WRITE = 2651;
// The change feed of a SQL database.
export const OP_SQL_CHANGES = 722;
// The past of a durable object: calls.
export const OBJECT_BOOKMARK = 720;
export const OBJECT_RESTORE_NEXT = 721;
// What the writes of a durable object outlive: a call.
export const OBJECT_DURABILITY = 900;
// PostgreSQL.
export const OP_POSTGRES_QUERY = 560;
export const OP_POSTGRES_BEGIN = 561;
export const OP_POSTGRES_END = 562;
export const OP_POSTGRES_LISTEN = 563;
export const OP_POSTGRES_NEXT = 564;
export const OP_POSTGRES_CLOSE = 565;

// What `Intl` asks for.
export const INTL_TAGS = 920;
export const INTL_DATA = 921;
export const INTL_ZONES = 922;
export const INTL_ZONE = 923;
export const INTL_OFFSET = 924;
export const INTL_COMPARE = 925;
export const INTL_SEGMENTS = 926;
