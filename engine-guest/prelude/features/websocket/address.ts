/**
 * The parts of an address that sockets and event sources speak of, cut out of an href that the host has parsed.
 */
import { stringIndexOf, stringSlice } from "../../primordials.ts";

/** `https:` */
export function schemeOf(href: string): string {
  return stringSlice(href, 0, stringIndexOf(href, ":") + 1);
}

/** `https://host:port`, of an href with a host. */
export function originOf(href: string): string {
  const start = stringIndexOf(href, "//") + 2;
  const end = stringIndexOf(href, "/", start);
  const authority = stringSlice(href, start, end < 0 ? undefined : end);
  return stringSlice(href, 0, start) + stringSlice(authority, stringIndexOf(authority, "@") + 1);
}
