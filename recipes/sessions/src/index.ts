// Who is signed in: sessions in KV, and a signed cookie that leads to one.

import { GONE, makeCookie, newId, readCookie } from "./cookies.ts";
import { end, endAll, find, start, touch } from "./sessions.ts";

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const ttlS = env.IDLE_MINUTES * 60;
    const id = await readCookie(request.headers.get("cookie"), [env.COOKIE_KEY, env.COOKIE_KEY_BEFORE]);
    const found = id === null ? null : await find(env.SESSIONS, id);
    switch (`${request.method} ${pathname}`) {
      case "POST /sign-in": {
        // Here an app checks a password or a token; a recipe about sessions believes what it is told.
        const user = new URLSearchParams(await request.text()).get("user") ?? "";
        if (!/^[a-z0-9-]{1,32}$/.test(user)) return text(422, "Give a user: lower-case letters, digits, hyphens.");
        // A new identifier each time, so that nobody waits in a session that they planted.
        const fresh = newId();
        await start(env.SESSIONS, fresh, user, ttlS, env.SESSIONS_PER_USER);
        return text(200, `Hello, ${user}.`, await makeCookie(env.COOKIE_KEY, fresh));
      }
      case "GET /me": {
        if (found === null || !(await touch(env.SESSIONS, found, ttlS))) return text(401, "Nobody is signed in.", GONE);
        const { user, visits } = found.session;
        // Signed anew: after a rotation, cookies move to the new key while the old one is good.
        return text(200, `${user}, visit ${visits}`, await makeCookie(env.COOKIE_KEY, found.id));
      }
      case "POST /sign-out":
        if (found !== null) await end(env.SESSIONS, found);
        return text(200, "Goodbye.", GONE);
      case "POST /sign-out-everywhere": {
        if (found === null) return text(401, "Nobody is signed in.", GONE);
        const ended = await endAll(env.SESSIONS, found.session.user);
        return text(200, `${ended} sessions ended.`, GONE);
      }
      default:
        return text(404, "There is nothing here.");
    }
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };

function text(status: number, body: string, cookie?: string): Response {
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  if (cookie !== undefined) headers.set("set-cookie", cookie);
  return new Response(`${body}\n`, { status, headers });
}
