/**
 * `node:assert`. The expression that failed is not quoted from the source: nothing keeps it.
 */
import { objectAssign } from "../library.ts";
import {
  assert, deepEqual, deepStrictEqual, doesNotMatch, doesNotReject, doesNotThrow, equal, fail, ifError, match,
  notDeepEqual, notDeepStrictEqual, notEqual, notStrictEqual, ok, rejects, strictAssert, strictEqual, throws,
} from "./internal/assert.ts";
import { AssertionError } from "./internal/assertionerror.ts";

const shared = {
  AssertionError, deepStrictEqual, doesNotMatch, doesNotReject, doesNotThrow, fail, ifError, match, notDeepStrictEqual,
  notStrictEqual, ok, rejects, strictEqual, throws,
};
const main: any = objectAssign(assert, shared, { equal, notEqual, deepEqual, notDeepEqual });
export const strict: any = objectAssign(strictAssert, shared, {
  equal: strictEqual, notEqual: notStrictEqual, deepEqual: deepStrictEqual, notDeepEqual: notDeepStrictEqual,
});
main.strict = strict.strict = strict;

export {
  AssertionError, deepEqual, deepStrictEqual, doesNotMatch, doesNotReject, doesNotThrow, equal, fail, ifError, match,
  notDeepEqual, notDeepStrictEqual, notEqual, notStrictEqual, ok, rejects, strictEqual, throws,
};
export default main;
