import { Room } from "./room.ts";

export { Room };

const NAME = /^[a-z0-9-]{1,40}$/;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, kind, room, what] = new URL(request.url).pathname.split("/");
    if (kind !== "rooms" || room === undefined || !NAME.test(room)) return new Response("no such page", { status: 404 });
    const stub = env.ROOMS.getByName(room);
    switch (what) {
      case "socket":
        if (request.headers.get("upgrade") !== "websocket") return new Response("this is a WebSocket", { status: 426 });
        return stub.fetch(request);
      case "messages":
        return Response.json(await stub.history());
      case "people":
        return Response.json(await stub.people());
      default:
        return new Response("no such page", { status: 404 });
    }
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };
