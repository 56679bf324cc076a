// Who posts, who follows, and a timeline for each reader: written to many places once, read from one place often.

import { Fanout } from "./fanout.ts";
import { follow, post, unfollow } from "./posts.ts";
import { timeline } from "./timelines.ts";

export { Fanout };

const NAME = /^[a-z0-9-]{1,32}$/;
const TEXT_MAX = 500;

export default {
  async fetch(request, env): Promise<Response> {
    const [, who = "", what, whom = ""] = new URL(request.url).pathname.split("/");
    if (!NAME.test(who)) return text(404, "There is nothing here.");
    switch (`${request.method} ${what}`) {
      case "GET timeline":
        // The whole of a read: one value by its key.
        return Response.json(await timeline(env, who));
      case "POST posts": {
        const content = (await request.text()).trim();
        if (content === "" || content.length > TEXT_MAX) return text(422, `A post has 1 to ${TEXT_MAX} characters.`);
        const id = await post(env.DB, who, content);
        await env.FANOUT.getByName("all").wake();
        return Response.json({ id }, { status: 202 });
      }
      case "PUT following":
        if (!NAME.test(whom) || whom === who) return text(422, "Follow somebody else.");
        await follow(env.DB, whom, who);
        // Those posts are there already: the timeline is made anew when it is read.
        await env.TIMELINES.delete(who);
        return text(200, `You follow ${whom}.`);
      case "DELETE following":
        await unfollow(env.DB, whom, who);
        await env.TIMELINES.delete(who);
        return text(200, `You follow ${whom} no more.`);
      default:
        return text(404, "There is nothing here.");
    }
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
