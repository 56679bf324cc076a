// Selvedge and miniflare: one KV operation a request, on a thousand keys in turn.
const KEYS = 1000;
const VALUE = "x".repeat(100);
let count = 0;

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/fill") {
      const from = Number(new URL(request.url).searchParams.get("from"));
      for (let n = from; n < from + 40; n += 1) await env.STORE.put(`key-${n}`, VALUE);
      return new Response("Filled.");
    }
    count += 1;
    const key = `key-${(count * 31) % KEYS}`;
    if (path === "/get") return new Response(await env.STORE.get(key));
    await env.STORE.put(key, VALUE);
    return new Response("Stored.");
  },
};
