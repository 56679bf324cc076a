// One answer as a line of JSON: status, the headers that the app set, and every byte of the body.

/** Where the apps believe they are. */
export const ORIGIN = "http://app.test";

/** What a server adds by itself. */
const SERVER = new Set(["alt-svc", "cache-status", "connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "x-request-id"]);

/** A server that compresses what an app answers says that it depends on what is accepted. */
const isServers = ([name, value]) => SERVER.has(name) || (name === "vary" && value === "Accept-Encoding");

export function shown(request, status, headers, bytes) {
  const kept = headers.filter((header) => !isServers(header)).map(([name, value]) => `${name}: ${value}`).sort();
  const text = bytes.toString("utf8");
  const body = Buffer.from(text, "utf8").equals(bytes) ? { text } : { base64: bytes.toString("base64") };
  return JSON.stringify({ request, status, headers: kept, ...body });
}
