import { Hono } from "hono";

const app = new Hono();
app.use("*", async (c, next) => {
  await next();
  c.header("X-Served-By", "bench");
});
app.get("/", (c) => c.text("index"));
app.get("/api/users", (c) => c.json([]));
app.get("/api/users/:user", (c) => c.json({ user: c.req.param("user") }));
app.get("/api/users/:user/posts/:post", (c) => {
  const { user, post } = c.req.param();
  return c.json({ user, post, verbose: c.req.query("verbose") === "yes" });
});
app.post("/api/users", async (c) => c.json(await c.req.json(), 201));
app.notFound((c) => c.json({ error: "not found" }, 404));

export default app;
