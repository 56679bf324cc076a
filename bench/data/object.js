// Selvedge and miniflare: one durable object that counts, and is asked by everybody at once.
export class Counter {
  constructor(ctx) {
    this.storage = ctx.storage;
  }

  async fetch(request) {
    const read = (await this.storage.get("count")) ?? 0;
    if (new URL(request.url).pathname === "/read") return new Response(`Counted ${read}.`);
    await this.storage.put("count", read + 1);
    return new Response(`Counted ${read + 1}.`);
  }
}

export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/fill") return new Response("Filled.");
    return env.COUNTER.get(env.COUNTER.idFromName("one")).fetch(request);
  },
};
