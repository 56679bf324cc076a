// A database for each tenant. `/make` makes forty, `/read` and `/write` go round as many as they are told, `/load`
// writes a row of a MiB, and `/rows` counts those.
const VALUE = "x".repeat(100);
const ROW = "x".repeat(1 << 20);
let count = 0;

// One transaction makes the table, if there is none, and a row.
function insert(db, id, value) {
  const table = db.prepare("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, value TEXT NOT NULL)");
  return db.batch([table, db.prepare("INSERT OR REPLACE INTO item VALUES (?, ?)").bind(id, value)]);
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const number = (name) => Number(searchParams.get(name));
    const tenant = (n) => env.TENANTS.get(`t${n}`);
    if (pathname === "/make") {
      const from = number("from");
      await Promise.all(Array.from({ length: 40 }, (_, n) => insert(tenant(from + n), 1, VALUE)));
      return new Response("Made.");
    }
    if (pathname === "/load") {
      await insert(tenant("load"), null, ROW);
      return new Response("Loaded.");
    }
    if (pathname === "/rows") {
      const n = await tenant("load").prepare("SELECT count(*) AS n FROM item").first("n");
      return new Response(`Rows ${n}.`);
    }
    count += 1;
    const db = tenant(count % number("of"));
    if (pathname === "/read") return new Response((await db.prepare("SELECT value FROM item WHERE id = 1").first()).value);
    await db.prepare("UPDATE item SET value = ? WHERE id = 1").bind(VALUE).run();
    return new Response("Stored.");
  },
};
