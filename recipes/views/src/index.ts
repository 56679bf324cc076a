// How often pages are viewed: counted at once by an object for each page, written to the database behind it.

import { Page, top } from "./page.ts";

export { Page };

const NAME = /^[a-z0-9-]{1,60}$/;

export default {
  async fetch(request, env): Promise<Response> {
    const [, kind, page = ""] = new URL(request.url).pathname.split("/");
    if (kind === "top") return Response.json(await top(env.DB));
    if (kind !== "pages" || !NAME.test(page)) return new Response("There is nothing here.\n", { status: 404 });
    const stub = env.PAGES.getByName(page);
    switch (request.method) {
      case "POST":
        return Response.json({ views: await stub.view(page) });
      case "GET":
        return Response.json({ views: await stub.views(page) });
      default:
        return new Response("POST counts a view, GET tells how many.\n", { status: 405, headers: { allow: "GET, POST" } });
    }
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };
