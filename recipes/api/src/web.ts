/**
 * The API as clients see it: paths, methods, status codes. It keeps nothing itself; the data is
 * with `store`, whose methods it calls through a binding, without leaving the process.
 *
 *     GET    /items?limit=&cursor=    a page of items
 *     POST   /items                   a new item: { sku, name, stock }
 *     GET    /items/:sku              an item; its revision is the ETag
 *     PUT    /items/:sku              its new name and stock; wants If-Match
 *     DELETE /items/:sku              wants If-Match
 *     POST   /items/:sku/take         take some out of stock: { quantity }
 */
import { ProblemError, problemResponse } from "./problem.ts";
import { isSku, readIfMatch, readItemChange, readLimit, readNewItem, readQuantity } from "./validate.ts";
import type { Problem } from "./problem.ts";
import type { Answer, Item, Refusal } from "./item.ts";

export default {
  async fetch(request: Request, env: WebEnv): Promise<Response> {
    try {
      return await route(request, env);
    } catch (error) {
      if (error instanceof ProblemError) return problemResponse(error.problem);
      throw error;
    }
  },
};

type Method = (request: Request, env: WebEnv, sku: string) => Promise<Response>;

const ITEMS: Record<string, Method> = { GET: list, POST: create };
const ITEM: Record<string, Method> = { GET: read, PUT: replace, DELETE: remove };
const TAKE: Record<string, Method> = { POST: take };

function route(request: Request, env: WebEnv): Promise<Response> {
  const [collection, sku, action, ...rest] = new URL(request.url).pathname.split("/").slice(1);
  if (collection !== "items" || rest.length > 0) throw notFound();
  if (sku === undefined) return call(ITEMS, request, env, "");
  if (!isSku(sku)) throw notFound();
  if (action === undefined) return call(ITEM, request, env, sku);
  if (action === "take") return call(TAKE, request, env, sku);
  throw notFound();
}

function call(methods: Record<string, Method>, request: Request, env: WebEnv, sku: string): Promise<Response> {
  const method = request.method === "HEAD" ? "GET" : request.method;
  if (Object.hasOwn(methods, method)) return methods[method]!(request, env, sku);
  const names = Object.keys(methods);
  const allow = (names.includes("GET") ? [...names, "HEAD"] : names).join(", ");
  const detail = `It takes ${allow}.`;
  throw new ProblemError({ status: 405, code: "method_not_allowed", title: "Not with this method", detail, headers: { allow } });
}

async function list(request: Request, env: WebEnv): Promise<Response> {
  const url = new URL(request.url);
  const page = given(await env.STORE.list(readLimit(url), url.searchParams.get("cursor")));
  return Response.json(page, { headers: { "cache-control": "no-cache" } });
}

async function create(request: Request, env: WebEnv): Promise<Response> {
  const item = given(await env.STORE.create(await readNewItem(request)));
  return itemResponse(item, 201, { location: `/items/${item.sku}` });
}

async function read(request: Request, env: WebEnv, sku: string): Promise<Response> {
  const item = given(await env.STORE.get(sku));
  if (request.headers.get("if-none-match") === etag(item)) {
    return new Response(null, { status: 304, headers: { etag: etag(item) } });
  }
  return itemResponse(item);
}

async function replace(request: Request, env: WebEnv, sku: string): Promise<Response> {
  const revision = readIfMatch(request);
  const change = await readItemChange(request);
  return itemResponse(given(await env.STORE.replace(sku, change, revision)));
}

async function remove(request: Request, env: WebEnv, sku: string): Promise<Response> {
  given(await env.STORE.remove(sku, readIfMatch(request)));
  return new Response(null, { status: 204 });
}

async function take(request: Request, env: WebEnv, sku: string): Promise<Response> {
  const quantity = await readQuantity(request);
  return itemResponse(given(await env.STORE.take(sku, quantity)));
}

/** What the store gave, or the problem that it refused with. */
function given<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new ProblemError(problemOf(answer.refusal));
}

function problemOf(refusal: Refusal): Problem {
  switch (refusal.reason) {
    case "no_item":
      return { status: 404, code: "no_item", title: "There is no such item" };
    case "exists":
      return { status: 409, code: "exists", title: "There is an item with this sku already" };
    case "changed":
      return { status: 412, code: "changed", title: "The item has changed", detail: "Read it again, and decide again." };
    case "out_of_stock":
      return { status: 409, code: "out_of_stock", title: "Not enough in stock", detail: `There are ${refusal.stock}.` };
    case "contended":
      return {
        status: 503, code: "contended", title: "Too many want this item at once", headers: { "retry-after": "1" },
      };
    case "bad_cursor":
      return { status: 400, code: "bad_cursor", title: "The cursor was not made by this list" };
  }
}

function notFound(): ProblemError {
  return new ProblemError({ status: 404, code: "not_found", title: "There is nothing at this path" });
}

function etag(item: Item): string {
  return `"${item.revision}"`;
}

function itemResponse(item: Item, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(item, { status, headers: { etag: etag(item), "cache-control": "no-cache", ...headers } });
}
