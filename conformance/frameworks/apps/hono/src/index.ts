import { Hono } from "hono";
import { cors } from "hono/cors";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { basicAuth } from "hono/basic-auth";
import { stream, streamText } from "hono/streaming";
import { validator } from "hono/validator";
import { zValidator } from "@hono/zod-validator";
import { z } from "zod";

type Variables = { begun: string };

const app = new Hono<{ Variables: Variables }>();

app.use("/api/*", cors({ origin: ["https://a.test", "https://b.test"], allowMethods: ["GET", "POST"], maxAge: 600, credentials: true }));
app.use("/etag/*", etag());
app.use("/basic/*", basicAuth({ username: "name", password: "word" }));
app.use("*", async (c, next) => {
  c.set("begun", "yes");
  await next();
  c.res.headers.set("x-begun", c.get("begun"));
});

app.get("/", (c) => c.text("hono"));
app.get("/json", (c) => c.json({ path: c.req.path, query: c.req.query(), many: c.req.queries("a") }, 201, { "x-extra": "1" }));
app.get("/users/:id{[0-9]+}/posts/:slug?", (c) => c.json(c.req.param()));
app.get("/wild/*", (c) => c.html(`<p>${c.req.path}</p>`));
app.post("/form", async (c) => {
  const body = await c.req.parseBody({ all: true });
  const file = body["file"];
  return c.json({ fields: Object.keys(body), file: file instanceof File ? [file.name, file.type, await file.text()] : null, tags: body["tag"] });
});
app.post("/echo", async (c) => c.body(await c.req.arrayBuffer(), 200, { "content-type": c.req.header("content-type") ?? "application/octet-stream" }));

app.get("/api/data", (c) => c.json({ data: [1, 2, 3] }));

app.post(
  "/validated",
  validator("json", (value, c) => (typeof value.name === "string" ? { name: value.name as string } : c.text("name is no string", 400))),
  (c) => c.json(c.req.valid("json")),
);
const order = z.object({ item: z.string().min(2), count: z.coerce.number().int().positive(), tags: z.array(z.string()).default([]) });
app.post("/order", zValidator("json", order), (c) => c.json(c.req.valid("json")));
app.get("/search", zValidator("query", z.object({ q: z.string(), page: z.coerce.number().default(1) })), (c) => c.json(c.req.valid("query")));

app.get("/cookies", (c) => {
  setCookie(c, "a", "b c", { path: "/", httpOnly: true, sameSite: "Strict", maxAge: 60 });
  deleteCookie(c, "old");
  return c.json(getCookie(c));
});
app.get("/etag/:word", (c) => c.text(c.req.param("word")));
app.get("/basic/x", (c) => c.text("in"));
app.get("/stream", (c) =>
  streamText(c, async (out) => {
    for (const word of ["one", "two", "three"]) {
      await out.writeln(word);
      await out.sleep(1);
    }
  }));
app.get("/bytes", (c) =>
  stream(c, async (out) => {
    await out.write(new Uint8Array([0, 1, 2, 255]));
    await out.pipe(new Response("piped").body!);
  }));
app.get("/moved", (c) => c.redirect("/json?from=moved", 302));
app.get("/teapot", () => {
  throw new HTTPException(418, { message: "short and stout" });
});
app.get("/throws", () => {
  throw new TypeError("as planned");
});

const nested = new Hono().basePath("/nested").get("/:x/:y", (c) => c.json({ route: c.req.routePath, params: c.req.param() }));
app.route("/", nested);
app.onError((error, c) => (error instanceof HTTPException ? error.getResponse() : c.json({ name: error.name, message: error.message }, 500)));
app.notFound((c) => c.text(`nothing at ${c.req.path}`, 404));

export default app;
