/**
 * What the pages in `public/` ask for: `POST /api/cheers` adds one, `GET /api/cheers` tells how many there are.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname !== "/api/cheers") return new Response("not found", { status: 404 });
    switch (request.method) {
      case "GET":
        return Response.json({ cheers: Number((await env.COUNTERS.get("cheers")) ?? 0) });
      case "POST":
        return Response.json({ cheers: await addOne(env.COUNTERS, "cheers") });
      default:
        return new Response("method not allowed", { status: 405, headers: { allow: "GET, POST" } });
    }
  },
};

/**
 * Counts without losing a count: the write names the revision that was read, and is tried again if somebody else was
 * faster.
 */
async function addOne(kv: KVNamespace, key: string): Promise<number> {
  for (;;) {
    const { value, revision } = await kv.getWithMetadata(key);
    const count = Number(value ?? 0) + 1;
    const condition = revision === null ? { ifAbsent: true } : { ifRevision: revision };
    try {
      await kv.put(key, String(count), condition);
      return count;
    } catch (error) {
      if ((error as { code?: string }).code !== "revision_conflict") throw error;
    }
  }
}
