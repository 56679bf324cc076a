/**
 * `env`: what the manifest granted, by name.
 */
import { feature, lazy } from "./features.ts";
import { hostError } from "./errors.ts";
import { Proxy, TypeError, jsonParse } from "./primordials.ts";
import { makeKv } from "./kv.ts";
import { makeService } from "./service.ts";

interface Binding {
  name: string;
  kind:
    | "text" | "json" | "secret" | "kv" | "blob" | "sql" | "sqlfamily" | "service" | "assets" | "objects" | "postgres";
  value?: any;
  binding?: number;
}

/** Bindings that are features: which, and what makes them there. */
const FEATURES: Record<string, string[] | undefined> = {
  __proto__: null as any,
  blob: ["blobs", "makeBucket"],
  sql: ["sql", "makeDatabase"],
  sqlfamily: ["sql", "makeFamily"],
  objects: ["objects", "makeNamespace"],
  postgres: ["postgres", "makeDatabase"],
};

function bindingValue(granted: Binding): unknown {
  switch (granted.kind) {
    case "text": case "json": case "secret":
      return granted.value;
    case "kv":
      return makeKv(granted.binding!);
    case "service": case "assets":
      return makeService(granted.binding!);
    default:
      throw new TypeError(`the binding ${granted.name} is of a kind this prelude does not know: ${granted.kind}`);
  }
}

/**
 * What handlers get as `env`. It is a plain object, which a worker may change as it likes; empty while modules are
 * evaluated, for nothing of an environment may be part of an image.
 */
export const env: any = {};

let evaluated = false;
let whenEvaluated: (() => void) | null = null;

/** The worker's modules have been evaluated. */
export function endEvaluation(): void {
  evaluated = true;
  if (whenEvaluated !== null) whenEvaluated();
  whenEvaluated = null;
}

/**
 * What an import of `env` finds, by way of `take`: `env` itself, but while modules are evaluated an object that refuses
 * to be read, for undefined would be taken for a binding that is not there.
 */
export function importedEnv(take: (found: any) => void): void {
  take(evaluated ? env : new Proxy(env, {
    get(target: any, name: string | symbol): unknown {
      if (evaluated || typeof name === "symbol" || name in target) return target[name];
      throw hostError(
        "Error", `reading env.${name} is not possible while modules are evaluated; do it inside a handler`, "io_at_start",
      );
    },
  }));
  if (!evaluated) whenEvaluated = () => take(env);
}

/** Fills `env` from the host's JSON. */
export function buildEnv(json: string): void {
  const bindings: Binding[] = jsonParse(json);
  for (let i = 0; i < bindings.length; i++) {
    const granted = bindings[i]!;
    const made = FEATURES[granted.kind];
    if (made === undefined) env[granted.name] = bindingValue(granted);
    else lazy(env, granted.name, () => feature(made[0]!)[made[1]!](granted.binding), true);
  }
}
