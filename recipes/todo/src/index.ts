import { addItem, addList, all, lists, moveItem, removeList, search, setDone } from "./lists";

/** A mistake of the caller's, and the status that says so. */
class Refused extends Error {
  status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function text(request: Request, field: string): Promise<string> {
  const body: any = await request.json().catch(() => null);
  const value = body?.[field];
  if (typeof value !== "string") throw new Refused(400, `the body must be JSON with a string "${field}"`);
  return value;
}

async function answer(request: Request, db: D1Database): Promise<unknown> {
  const url = new URL(request.url);
  const [, kind, id, what, position] = url.pathname.split("/");
  const route = `${request.method} /${kind}${what ? `/${what}` : ""}`;
  switch (route) {
    case "GET /":
      return lists(db);
    case "POST /lists":
      return addList(db, await text(request, "name"));
    case "GET /lists":
      return all(db, Number(id));
    case "DELETE /lists":
      return removeList(db, Number(id));
    case "POST /lists/items":
      return addItem(db, Number(id), await text(request, "text"));
    case "POST /items/done":
      return setDone(db, Number(id), true);
    case "DELETE /items/done":
      return setDone(db, Number(id), false);
    case "POST /items/move":
      return moveItem(db, Number(id), Number(position));
    case "GET /search":
      return search(db, url.searchParams.get("q") ?? "");
    default:
      throw new Refused(404, "there is nothing here");
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const value = await answer(request, env.DB);
      return value === null ? Response.json({ error: "not found" }, { status: 404 }) : Response.json(value);
    } catch (error: any) {
      if (error instanceof Refused) return Response.json({ error: error.message }, { status: error.status });
      // The database says what is wrong with the values: its rules stand in the migrations, once.
      if (error.code === "sql_constraint") return Response.json({ error: error.cause.message }, { status: 409 });
      throw error;
    }
  },
};
