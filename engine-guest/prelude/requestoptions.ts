/**
 * The members of `RequestInit` that mean something to a browser only. They are checked and kept, so that a script can
 * read them again; nothing here acts on them.
 */
import { TypeError, arrayIndexOf, toStr } from "./primordials.ts";
import type { RequestOptions } from "./state.ts";
import { parseUrl } from "./url.ts";

const CACHE = ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"];
const CREDENTIALS = ["omit", "same-origin", "include"];
const MODES = ["cors", "no-cors", "same-origin"];
const PRIORITIES = ["auto", "high", "low"];
const REFERRER_POLICIES = [
  "", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin",
  "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url",
];

function oneOf(value: unknown, allowed: string[], name: string): string {
  const text = toStr(value);
  if (arrayIndexOf(allowed, text) < 0) throw new TypeError(`"${text}" is not a value of a request's ${name}`);
  return text;
}

function referrerFrom(value: unknown): string {
  const text = toStr(value);
  if (text === "" || text === "about:client") return text;
  const parsed = parseUrl(text);
  if (parsed === null) throw new TypeError(`the referrer "${text}" is not an absolute URL`);
  return parsed[0]!;
}

/** The options that `init` names, over those of the request it changes; null if it names none. */
export function optionsFrom(init: any, base: RequestOptions | null): RequestOptions | null {
  const { cache, credentials, duplex, integrity, keepalive, mode, priority, referrer, referrerPolicy, window } = init;
  if (duplex !== undefined) oneOf(duplex, ["half"], "duplex");
  if (window !== undefined && window !== null) throw new TypeError("a request's window can only be null");
  if (
    cache === undefined && credentials === undefined && integrity === undefined && keepalive === undefined &&
    mode === undefined && priority === undefined && referrer === undefined && referrerPolicy === undefined
  ) return null;
  const options: RequestOptions = {
    cache: cache === undefined ? base?.cache ?? "default" : oneOf(cache, CACHE, "cache"),
    credentials: credentials === undefined
      ? base?.credentials ?? "same-origin" : oneOf(credentials, CREDENTIALS, "credentials"),
    integrity: integrity === undefined ? base?.integrity ?? "" : toStr(integrity),
    keepalive: keepalive === undefined ? base?.keepalive ?? false : !!keepalive,
    mode: mode === undefined ? base?.mode ?? "cors" : oneOf(mode, MODES, "mode"),
    priority: priority === undefined ? base?.priority ?? "auto" : oneOf(priority, PRIORITIES, "priority"),
    referrer: referrer === undefined ? base?.referrer ?? "about:client" : referrerFrom(referrer),
    referrerPolicy: referrerPolicy === undefined
      ? base?.referrerPolicy ?? "" : oneOf(referrerPolicy, REFERRER_POLICIES, "referrerPolicy"),
  };
  if (options.cache === "only-if-cached" && options.mode !== "same-origin") {
    throw new TypeError('the cache mode "only-if-cached" needs the mode "same-origin"');
  }
  return options;
}
