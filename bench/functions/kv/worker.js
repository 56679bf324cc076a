// Selvedge and workerd. One request to /seed comes before any other.
export default {
  async fetch(request, env) {
    if (request.url.endsWith("/seed")) {
      await env.STORE.put("greeting", "Hello from the store!");
    }
    return new Response(await env.STORE.get("greeting"));
  },
};
