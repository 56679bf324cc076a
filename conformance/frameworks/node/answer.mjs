// Answers an app's requests by calling its handler in this process: `answer.mjs ENTRY REQUESTS`.
// The answers are printed as JSON, in the form that ask.mjs prints those of a server.
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { ORIGIN, shown } from "./shown.mjs";

const [entry, requests] = process.argv.slice(2);
const { default: app } = await import(pathToFileURL(entry));
const ctx = { waitUntil() {}, passThroughOnException() {}, props: {} };
// What the app's manifest gives it as variables, where it gives any.
const file = new URL("vars.json", pathToFileURL(requests));
const vars = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};

for (const { path, method = "GET", headers = {}, body } of JSON.parse(readFileSync(requests, "utf8"))) {
  let answer;
  try {
    answer = await app.fetch(new Request(ORIGIN + path, { method, headers, body }), vars, ctx);
  } catch (error) {
    console.log(JSON.stringify({ request: `${method} ${path}`, threw: String(error) }));
    continue;
  }
  const bytes = Buffer.from(await answer.arrayBuffer());
  console.log(shown(`${method} ${path}`, answer.status, [...answer.headers], bytes));
}
process.exit(0);
