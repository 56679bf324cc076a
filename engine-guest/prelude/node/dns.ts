/**
 * `node:dns`: the host resolves names, for `fetch` and the rest.
 */
import { absent } from "./internal/absent.ts";
import promises from "./dns/promises.ts";

const INSTEAD = "use fetch, which resolves names itself";

export const NODATA = "ENODATA";
export const FORMERR = "EFORMERR";
export const SERVFAIL = "ESERVFAIL";
export const NOTFOUND = "ENOTFOUND";
export const NOTIMP = "ENOTIMP";
export const REFUSED = "EREFUSED";
export const BADQUERY = "EBADQUERY";
export const BADNAME = "EBADNAME";
export const BADFAMILY = "EBADFAMILY";
export const BADRESP = "EBADRESP";
export const CONNREFUSED = "ECONNREFUSED";
export const TIMEOUT = "ETIMEOUT";
export const EOF = "EOF";
export const FILE = "EFILE";
export const NOMEM = "ENOMEM";
export const DESTRUCTION = "EDESTRUCTION";
export const BADSTR = "EBADSTR";
export const BADFLAGS = "EBADFLAGS";
export const NONAME = "ENONAME";
export const BADHINTS = "EBADHINTS";
export const NOTINITIALIZED = "ENOTINITIALIZED";
export const LOADIPHLPAPI = "ELOADIPHLPAPI";
export const ADDRGETNETWORKPARAMS = "EADDRGETNETWORKPARAMS";
export const CANCELLED = "ECANCELLED";
export const ADDRCONFIG = 1024;
export const V4MAPPED = 2048;
export const ALL = 256;
export { promises };
export const lookup = absent("dns", "lookup", INSTEAD);
export const lookupService = absent("dns", "lookupService", INSTEAD);
export const Resolver = absent("dns", "Resolver", INSTEAD);
export const getDefaultResultOrder = absent("dns", "getDefaultResultOrder", INSTEAD);
export const setDefaultResultOrder = absent("dns", "setDefaultResultOrder", INSTEAD);
export const setServers = absent("dns", "setServers", INSTEAD);
export const getServers = absent("dns", "getServers", INSTEAD);
export const resolve = absent("dns", "resolve", INSTEAD);
export const resolve4 = absent("dns", "resolve4", INSTEAD);
export const resolve6 = absent("dns", "resolve6", INSTEAD);
export const resolveAny = absent("dns", "resolveAny", INSTEAD);
export const resolveCaa = absent("dns", "resolveCaa", INSTEAD);
export const resolveCname = absent("dns", "resolveCname", INSTEAD);
export const resolveMx = absent("dns", "resolveMx", INSTEAD);
export const resolveNaptr = absent("dns", "resolveNaptr", INSTEAD);
export const resolveNs = absent("dns", "resolveNs", INSTEAD);
export const resolvePtr = absent("dns", "resolvePtr", INSTEAD);
export const resolveSoa = absent("dns", "resolveSoa", INSTEAD);
export const resolveSrv = absent("dns", "resolveSrv", INSTEAD);
export const resolveTxt = absent("dns", "resolveTxt", INSTEAD);
export const reverse = absent("dns", "reverse", INSTEAD);

export default {
  lookup, lookupService, Resolver, getDefaultResultOrder, setDefaultResultOrder, setServers, getServers, resolve,
  resolve4, resolve6, resolveAny, resolveCaa, resolveCname, resolveMx, resolveNaptr, resolveNs, resolvePtr,
  resolveSoa, resolveSrv, resolveTxt, reverse, NODATA, FORMERR, SERVFAIL, NOTFOUND, NOTIMP, REFUSED, BADQUERY,
  BADNAME, BADFAMILY, BADRESP, CONNREFUSED, TIMEOUT, EOF, FILE, NOMEM, DESTRUCTION, BADSTR, BADFLAGS, NONAME,
  BADHINTS, NOTINITIALIZED, LOADIPHLPAPI, ADDRGETNETWORKPARAMS, CANCELLED, ADDRCONFIG, V4MAPPED, ALL, promises,
};
