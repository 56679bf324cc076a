/**
 * `node:dns/promises`: the host resolves names, for `fetch` and the rest.
 */
import { absent, absentAsync } from "../internal/absent.ts";

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
export const Resolver = absent("dns.promises", "Resolver", INSTEAD);
export const lookup = absentAsync("dns.promises", "lookup", INSTEAD);
export const lookupService = absentAsync("dns.promises", "lookupService", INSTEAD);
export const getDefaultResultOrder = absentAsync("dns.promises", "getDefaultResultOrder", INSTEAD);
export const setDefaultResultOrder = absentAsync("dns.promises", "setDefaultResultOrder", INSTEAD);
export const setServers = absentAsync("dns.promises", "setServers", INSTEAD);
export const getServers = absentAsync("dns.promises", "getServers", INSTEAD);
export const resolve = absentAsync("dns.promises", "resolve", INSTEAD);
export const resolve4 = absentAsync("dns.promises", "resolve4", INSTEAD);
export const resolve6 = absentAsync("dns.promises", "resolve6", INSTEAD);
export const resolveAny = absentAsync("dns.promises", "resolveAny", INSTEAD);
export const resolveCaa = absentAsync("dns.promises", "resolveCaa", INSTEAD);
export const resolveCname = absentAsync("dns.promises", "resolveCname", INSTEAD);
export const resolveMx = absentAsync("dns.promises", "resolveMx", INSTEAD);
export const resolveNaptr = absentAsync("dns.promises", "resolveNaptr", INSTEAD);
export const resolveNs = absentAsync("dns.promises", "resolveNs", INSTEAD);
export const resolvePtr = absentAsync("dns.promises", "resolvePtr", INSTEAD);
export const resolveSoa = absentAsync("dns.promises", "resolveSoa", INSTEAD);
export const resolveSrv = absentAsync("dns.promises", "resolveSrv", INSTEAD);
export const resolveTxt = absentAsync("dns.promises", "resolveTxt", INSTEAD);
export const reverse = absentAsync("dns.promises", "reverse", INSTEAD);

export default {
  Resolver, lookup, lookupService, getDefaultResultOrder, setDefaultResultOrder, setServers, getServers, resolve,
  resolve4, resolve6, resolveAny, resolveCaa, resolveCname, resolveMx, resolveNaptr, resolveNs, resolvePtr,
  resolveSoa, resolveSrv, resolveTxt, reverse, NODATA, FORMERR, SERVFAIL, NOTFOUND, NOTIMP, REFUSED, BADQUERY,
  BADNAME, BADFAMILY, BADRESP, CONNREFUSED, TIMEOUT, EOF, FILE, NOMEM, DESTRUCTION, BADSTR, BADFLAGS, NONAME,
  BADHINTS, NOTINITIALIZED, LOADIPHLPAPI, ADDRGETNETWORKPARAMS, CANCELLED,
};
