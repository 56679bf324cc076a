// One answer as a line of JSON: status, the headers that the app set, and every byte of the body.

/** Where the apps believe they are. */
export const ORIGIN = "http://app.test";

/** What a server adds by itself. */
const SERVER = new Set(["alt-svc", "connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "x-request-id"]);

export function shown(request, status, headers, bytes) {
  const kept = headers.filter(([name]) => !SERVER.has(name)).map(([name, value]) => `${name}: ${value}`).sort();
  const text = bytes.toString("utf8");
  const body = Buffer.from(text, "utf8").equals(bytes) ? { text } : { base64: bytes.toString("base64") };
  return JSON.stringify({ request, status, headers: kept, ...body });
}
