// Asks a server an app's requests: `ask.mjs HOST:PORT REQUESTS`.
import { readFileSync } from "node:fs";
import http from "node:http";
import { ORIGIN, shown } from "./shown.mjs";

const [address, requests] = process.argv.slice(2);
const [hostname, port] = address.split(":");
const host = new URL(ORIGIN).host;

for (const { path, method = "GET", headers = {}, body } of JSON.parse(readFileSync(requests, "utf8"))) {
  const answer = await new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path, method, headers: { ...headers, host } }, resolve);
    request.on("error", reject).end(body);
  });
  const pieces = [];
  for await (const piece of answer) pieces.push(piece);
  const list = [];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) list.push([answer.rawHeaders[i].toLowerCase(), answer.rawHeaders[i + 1]]);
  console.log(shown(`${method} ${path}`, answer.statusCode, list, Buffer.concat(pieces)));
}
