// Bun's SQLite, on a local file, called synchronously on the server's one thread.
import { Database } from "bun:sqlite";

const database = new Database("store.sqlite");
database.run("PRAGMA journal_mode = WAL");
database.run("CREATE TABLE IF NOT EXISTS store (key TEXT PRIMARY KEY, value TEXT)");
database.run("INSERT OR REPLACE INTO store VALUES ('greeting', 'Hello from the store!')");
const read = database.query("SELECT value FROM store WHERE key = ?");

export default {
  fetch() {
    return new Response(read.get("greeting").value);
  },
};
