/**
 * `node:v8`: the engine is another.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "use structuredClone or JSON";
export function setFlagsFromString(_flags: any): void {}
export const cachedDataVersionTag = (): number => 0;
export const getHeapSnapshot = absent("v8", "getHeapSnapshot", INSTEAD);
export const getHeapStatistics = absent("v8", "getHeapStatistics", INSTEAD);
export const getHeapSpaceStatistics = absent("v8", "getHeapSpaceStatistics", INSTEAD);
export const getHeapCodeStatistics = absent("v8", "getHeapCodeStatistics", INSTEAD);
export const Serializer = absent("v8", "Serializer", INSTEAD);
export const Deserializer = absent("v8", "Deserializer", INSTEAD);
export const DefaultSerializer = absent("v8", "DefaultSerializer", INSTEAD);
export const DefaultDeserializer = absent("v8", "DefaultDeserializer", INSTEAD);
export const deserialize = absent("v8", "deserialize", INSTEAD);
export const takeCoverage = absent("v8", "takeCoverage", INSTEAD);
export const stopCoverage = absent("v8", "stopCoverage", INSTEAD);
export const serialize = absent("v8", "serialize", INSTEAD);
export const writeHeapSnapshot = absent("v8", "writeHeapSnapshot", INSTEAD);
export const queryObjects = absent("v8", "queryObjects", INSTEAD);
export const setHeapSnapshotNearHeapLimit = absent("v8", "setHeapSnapshotNearHeapLimit", INSTEAD);
export const GCProfiler = absent("v8", "GCProfiler", INSTEAD);

export default {
  getHeapSnapshot, getHeapStatistics, getHeapSpaceStatistics, getHeapCodeStatistics, Serializer, Deserializer,
  DefaultSerializer, DefaultDeserializer, deserialize, takeCoverage, stopCoverage, serialize, writeHeapSnapshot,
  queryObjects, setHeapSnapshotNearHeapLimit, GCProfiler, setFlagsFromString, cachedDataVersionTag,
};
