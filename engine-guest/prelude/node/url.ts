/**
 * `node:url`: the web's `URL`, and the older `parse`, `format` and `resolve` that many packages still use.
 */
import { decodeURIComponent } from "../library.ts";
import { Number, isObject, stringIndexOf, stringSlice } from "../primordials.ts";
import { checkObject, invalidArgType } from "./internal/errors.ts";
import { URLSearchParams } from "../searchparams.ts";
import { URL, hrefOf } from "../url.ts";
import { fileURLToPath, fileURLToPathBuffer, pathToFileURL } from "./internal/fileurls.ts";
import { Url, formatLegacy, parse, resolve, resolveObject } from "./internal/legacyurl.ts";
import { toUnicode } from "./internal/idna.ts";

export function domainToASCII(domain: any): string {
  const text = `${domain}`;
  try {
    return new (URL as any)(`ws://${text}`).hostname;
  } catch {
    return "";
  }
}

export function domainToUnicode(domain: any): string {
  const ascii = domainToASCII(domain);
  return ascii === "" ? "" : toUnicode(ascii);
}

export function urlToHttpOptions(url: any): any {
  const { hostname, pathname, port, username, password, search } = url;
  const options: any = {
    __proto__: null, ...url, protocol: url.protocol,
    hostname: hostname && hostname[0] === "[" ? stringSlice(hostname, 1, -1) : hostname, hash: url.hash, search, pathname,
    path: `${pathname || ""}${search || ""}`, href: url.href,
  };
  if (port !== "") options.port = Number(port);
  if (username || password) options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return options;
}

export function format(url: any, options?: any): string {
  if (typeof url === "string") return formatLegacy(parse(url));
  if (!isObject(url)) throw invalidArgType("urlObject", "of type object or string", url);
  const href = hrefOf(url);
  if (href === null) return formatLegacy(url);
  if (options !== undefined) checkObject(options, "options");
  const fragment = options?.fragment ?? true;
  const search = options?.search ?? true;
  const auth = options?.auth ?? true;
  const copy: any = new (URL as any)(href);
  if (!fragment) copy.hash = "";
  if (!search) copy.search = "";
  if (!auth) {
    copy.username = "";
    copy.password = "";
  }
  if (!options?.unicode) return copy.href;
  const shown = toUnicode(copy.hostname);
  const at = stringIndexOf(copy.href, copy.hostname);
  return copy.hostname === "" || at < 0 ? copy.href
    : stringSlice(copy.href, 0, at) + shown + stringSlice(copy.href, at + copy.hostname.length);
}

export {
  URL, URLSearchParams, Url, fileURLToPath, fileURLToPathBuffer, parse, pathToFileURL, resolve, resolveObject,
};
export default {
  URL, URLSearchParams, Url, domainToASCII, domainToUnicode, fileURLToPath, fileURLToPathBuffer, format, parse,
  pathToFileURL, resolve, resolveObject, urlToHttpOptions,
};
