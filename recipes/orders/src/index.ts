/** Orders against a stock: two tables that change together or not at all. */

const NO_SUCH_ITEM = "23503";
const CHECK_FAILED = "23514";

async function place(db: PostgresDatabase, item: string, units: number): Promise<number> {
  return db.transaction(async (tx) => {
    // The check of the table refuses what would go below zero, and the whole transaction with it.
    await tx.sql`UPDATE stock SET units = units - ${units} WHERE item = ${item}`;
    const { rows } = await tx.sql<{ id: number }>`INSERT INTO orders (item, units) VALUES (${item}, ${units}) RETURNING id`;
    return rows[0]!.id;
  });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "GET" && pathname === "/stock") {
      const { rows } = await env.DB.sql`SELECT item, units FROM stock ORDER BY item`;
      return Response.json(rows);
    }
    if (request.method === "GET" && pathname === "/orders") {
      const { rows } = await env.DB.sql`SELECT id, item, units, placed FROM orders ORDER BY id DESC LIMIT 50`;
      return Response.json(rows);
    }
    if (request.method !== "POST" || pathname !== "/orders") return new Response("Not found\n", { status: 404 });
    const { item, units } = (await request.json()) as { item: unknown; units: unknown };
    try {
      const id = await place(env.DB, String(item), Number(units));
      return Response.json({ id }, { status: 201 });
    } catch (error: any) {
      if (error.sqlstate === CHECK_FAILED) return Response.json({ error: "so many are not there" }, { status: 409 });
      if (error.sqlstate === NO_SUCH_ITEM) return Response.json({ error: "there is no such item" }, { status: 404 });
      throw error;
    }
  },
};
