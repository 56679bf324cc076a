// Deno's own KV, on a local file.
const store = await Deno.openKv("store.sqlite");
await store.set(["greeting"], "Hello from the store!");

export default {
  async fetch() {
    return new Response((await store.get(["greeting"])).value);
  },
};
