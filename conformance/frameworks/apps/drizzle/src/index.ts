import { aliasedTable, and, asc, between, count, desc, eq, exists, gt, ilike, inArray, isNull, like, max, ne, not, or, relations, sql, sum } from "drizzle-orm";
import * as mysql from "drizzle-orm/mysql-core";
import * as pg from "drizzle-orm/pg-core";
import { drizzle as pgProxy } from "drizzle-orm/pg-proxy";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/sqlite-proxy";

const users = sqliteTable(
  "users",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    name: text("name").notNull(),
    email: text("email").unique(),
    role: text("role", { enum: ["reader", "writer"] }).default("reader"),
    made: integer("made", { mode: "timestamp" }).$defaultFn(() => new Date(0)),
    meta: text("meta", { mode: "json" }).$type<{ a: number }>(),
  },
  (table) => [index("by_name").on(table.name), uniqueIndex("by_email").on(table.email)],
);
const posts = sqliteTable("posts", { id: integer("id").primaryKey(), author: integer("author").references(() => users.id), title: text("title"), score: integer("score") });
const follows = sqliteTable("follows", { from: integer("from"), to: integer("to") }, (table) => [primaryKey({ columns: [table.from, table.to] })]);
const usersRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
const postsRelations = relations(posts, ({ one }) => ({ author: one(users, { fields: [posts.author], references: [users.id] }) }));

const asked: unknown[] = [];
const db = drizzle(
  async (query, params, method) => {
    asked.push([query, params, method]);
    return { rows: method === "get" ? ["1", "a", null, "reader", 0, "{\"a\":1}"] as any : [[1, "a", "a@b.test", "reader", 5, "{\"a\":1}"]] };
  },
  { schema: { users, posts, usersRelations, postsRelations } },
);

const events = pg.pgTable("events", { id: pg.uuid("id").defaultRandom().primaryKey(), at: pg.timestamp("at", { withTimezone: true }).notNull(), tags: pg.text("tags").array(), data: pg.jsonb("data"), amount: pg.numeric("amount", { precision: 10, scale: 2 }) });
const pgdb = pgProxy(async () => ({ rows: [] }), { casing: "snake_case" });
const things = mysql.mysqlTable("things", { id: mysql.serial("id"), name: mysql.varchar("name", { length: 20 }) });

const routes: Record<string, () => unknown> = {
  "/select": () => db.select().from(users).where(and(eq(users.role, "writer"), or(like(users.name, "a%"), isNull(users.email)), not(inArray(users.id, [1, 2, 3])))).orderBy(desc(users.id), asc(users.name)).limit(10).offset(20).toSQL(),
  "/join": () => {
    const other = aliasedTable(users, "other");
    return db.select({ name: users.name, n: count(posts.id), top: max(posts.score), all: sum(posts.score) }).from(users).leftJoin(posts, eq(posts.author, users.id)).innerJoin(other, ne(other.id, users.id)).groupBy(users.id).having(({ n }) => gt(n, 1)).toSQL();
  },
  "/cte": () => {
    const top = db.$with("top").as(db.select({ author: posts.author, total: sql<number>`sum(${posts.score})`.as("total") }).from(posts).groupBy(posts.author));
    return db.with(top).select().from(top).where(exists(db.select({ one: sql`1` }).from(users).where(eq(users.id, top.author)))).toSQL();
  },
  "/insert": () => db.insert(users).values([{ name: "a", meta: { a: 1 } }, { name: "b", email: "b@c.test" }]).onConflictDoUpdate({ target: users.email, set: { name: sql`excluded.name` } }).returning().toSQL(),
  "/update": () => db.update(users).set({ name: "x", made: new Date(5000) }).where(between(users.id, 1, 5)).returning({ id: users.id }).toSQL(),
  "/delete": () => db.delete(follows).where(eq(follows.from, 1)).toSQL(),
  "/union": () => db.select({ id: users.id }).from(users).union(db.select({ id: posts.id }).from(posts)).toSQL(),
  "/run": async () => {
    asked.length = 0;
    const rows = await db.select().from(users).where(eq(users.id, 1));
    const one = await db.query.users.findFirst({ columns: { id: true, name: true }, where: (user, { eq }) => eq(user.id, 1) });
    return { rows, one, asked };
  },
  "/relational": () => db.query.users.findMany({ with: { posts: { limit: 2, orderBy: (post, { desc }) => desc(post.score) } } }).toSQL(),
  "/pg": () => pgdb.select().from(events).where(and(ilike(sql`${events.data}->>'name'`, "%x%"), gt(events.at, new Date(0)))).for("update", { skipLocked: true }).toSQL(),
  "/pg-insert": () => pgdb.insert(events).values({ at: new Date(0), tags: ["a", "b"], data: { x: [1] }, amount: "1.50" }).onConflictDoNothing().toSQL(),
  "/placeholder": () => db.select().from(users).where(eq(users.id, sql.placeholder("id"))).toSQL(),
  "/config": () => ({ sqlite: Object.keys(users), mysql: mysql.getTableConfig(things).columns.map((column) => [column.name, column.getSQLType()]), pg: pg.getTableConfig(events).columns.map((column) => [column.name, column.getSQLType(), column.notNull]) }),
};

export default {
  async fetch(request: Request): Promise<Response> {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(await route()) : new Response("no such route", { status: 404 });
  },
};
