/**
 * A JSON API over a KV namespace.
 *
 *     GET    /            a greeting
 *     GET    /notes       the names of all notes
 *     PUT    /notes/:name stores the body as a note
 *     GET    /notes/:name
 *     DELETE /notes/:name
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const [collection, name] = url.pathname.split("/").slice(1);
    if (collection === "") return Response.json({ message: `${env.GREETING} from __NAME__`, notes: "/notes" });
    if (collection !== "notes") return problem(404, "There is nothing at this path");
    if (!name) return notes(request, env, url);
    return NAME.test(name) ? note(request, env, name) : problem(400, "A name has 1 to 64 letters, digits, _ and -");
  },
};

const NAME = /^[\w-]{1,64}$/;

async function notes(request: Request, env: Env, url: URL): Promise<Response> {
  if (request.method !== "GET") return problem(405, "Notes can be listed; PUT one at /notes/NAME");
  const page = await env.NOTES.list({ limit: 100, cursor: url.searchParams.get("cursor") });
  const names = page.keys.map((key) => key.name);
  return Response.json({ names, cursor: page.list_complete ? null : page.cursor });
}

async function note(request: Request, env: Env, name: string): Promise<Response> {
  switch (request.method) {
    case "GET": {
      const text = await env.NOTES.get(name);
      return text === null ? problem(404, "There is no such note") : Response.json({ name, text });
    }
    case "PUT":
      await env.NOTES.put(name, await request.text());
      return new Response(null, { status: 204 });
    case "DELETE":
      await env.NOTES.delete(name);
      return new Response(null, { status: 204 });
    default:
      return problem(405, "A note takes GET, PUT and DELETE");
  }
}

/** Problem details (RFC 9457). */
function problem(status: number, title: string): Response {
  return new Response(JSON.stringify({ title, status }), {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}
