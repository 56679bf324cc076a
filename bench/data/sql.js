// Selvedge and miniflare: one statement a request, on a thousand rows in turn.
const ROWS = 1000;
const VALUE = "x".repeat(100);
let count = 0;

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/fill") {
      const from = Number(url.searchParams.get("from"));
      if (from === 0) await env.DB.exec("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, value TEXT NOT NULL)");
      const insert = env.DB.prepare("INSERT OR REPLACE INTO item VALUES (?, ?)");
      await env.DB.batch(Array.from({ length: 40 }, (_, n) => insert.bind(from + n, VALUE)));
      return new Response("Filled.");
    }
    count += 1;
    const id = (count * 31) % ROWS;
    if (url.pathname === "/query") {
      const row = await env.DB.prepare("SELECT value FROM item WHERE id = ?").bind(id).first();
      return new Response(row.value);
    }
    await env.DB.prepare("UPDATE item SET value = ? WHERE id = ?").bind(VALUE, id).run();
    return new Response("Stored.");
  },
};
