import { Store, type Item } from "#store";
import { route } from "./router";
import defaults from "./defaults.json";
import schema from "./schema.sql";
import notes from "./notes.txt";

interface Env {
  GREETING: string;
  LIMITS: { items: number };
}

export enum Level { Low = 1, High = Low << 3 }

const store = new Store(defaults.items as Item[]);

const handler = {
  async fetch(request, env, ctx): Promise<Response> {
    ctx.waitUntil(Promise.resolve());
    return route(request, {
      "GET /": () => new Response(`${env.GREETING}, ${request.headers.get("x-name") ?? "world"}`),
      "GET /items": () => Response.json(store.list(env.LIMITS.items)),
      "POST /items": async () => Response.json(store.add((await request.json()) as Item), { status: 201, headers: { location: "/items/1" } }),
      "GET /files": () => Response.json({ schema, notes, level: Level[Level.High], levels: Level }),
      "GET /lazy": async () => {
        const { lazy, langs } = await import("./lazy");
        return Response.json([lazy(), await langs("en"), await langs("de"), await langs("fr").catch((error: Error) => error.constructor.name)]);
      },
      "GET /url": () => {
        const url = new URL(request.url);
        return Response.json({ path: url.pathname, query: [...url.searchParams], method: request.method });
      },
    });
  },
} satisfies { fetch(request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> };

export default handler;
