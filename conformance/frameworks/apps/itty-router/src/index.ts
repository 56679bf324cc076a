import { AutoRouter, Router, cors, error, html, json, status, StatusError, text, withContent, withParams, type IRequest } from "itty-router";

const { preflight, corsify } = cors({ origin: ["https://a.test"], credentials: true, maxAge: 84600, exposeHeaders: "x-served" });

const nested = Router({ base: "/nested" });
nested.get("/:a/:b?", withParams, (request: IRequest) => json({ a: request.a, b: request.b ?? null, query: request.query }));

const router = AutoRouter({
  before: [preflight],
  finally: [corsify],
});

router
  .get("/", () => "plain text")
  .get("/object", () => ({ an: "object", list: [1, null, "x"] }))
  .get("/todos/:id", ({ params }) => ({ params }))
  .get("/files/:path+", ({ params }) => params)
  .get("/image.:ext", ({ params }) => params.ext)
  .get("/html", () => html("<p>html</p>"))
  .get("/text", () => text("text", { headers: { "x-served": "yes" } }))
  .post("/content", withContent, ({ content }: IRequest) => ({ type: typeof content, content }))
  .get("/status", () => status(204))
  .get("/error", () => error(409, "a conflict"))
  .get("/status-error", () => {
    throw new StatusError(422, { error: "not like this", field: "name" });
  })
  .get("/throws", () => {
    throw new Error("as planned");
  })
  .all("/nested/*", nested.fetch)
  .all("*", () => error(404));

export default router;
