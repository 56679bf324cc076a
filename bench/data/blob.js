// Selvedge and miniflare: one blob of 10 KiB a request, under a thousand keys in turn.
const KEYS = 1000;
const CONTENT = "x".repeat(10 << 10);
let count = 0;

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/fill") {
      const from = Number(url.searchParams.get("from"));
      for (let n = from; n < from + 40; n += 1) await env.FILES.put(`key-${n}`, CONTENT);
      return new Response("Filled.");
    }
    count += 1;
    const key = `key-${(count * 31) % KEYS}`;
    if (url.pathname === "/get") return new Response((await env.FILES.get(key)).body);
    await env.FILES.put(key, CONTENT);
    return new Response("Stored.");
  },
};
