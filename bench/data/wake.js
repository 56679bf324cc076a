// Durable objects by the hundred, each of which is asked now and then: what waking one takes.
export class Sleeper {
  constructor(ctx) {
    this.storage = ctx.storage;
  }

  async fetch(request) {
    const read = (await this.storage.get("count")) ?? 0;
    if (new URL(request.url).pathname === "/add") await this.storage.put("count", read + 1);
    return new Response(`Counted ${read}.`);
  }
}

export default {
  async fetch(request, env) {
    const name = new URL(request.url).searchParams.get("name");
    return env.SLEEPER.get(env.SLEEPER.idFromName(name)).fetch(request);
  },
};
