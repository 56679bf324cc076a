import whole, { counter, lazy, named } from "./lib/main.cjs";
import * as namespace from "./lib/main.cjs";
import transpiled, { value } from "./lib/transpiled.cjs";
import callable from "./lib/callable.cjs";
import sloppy from "./lib/sloppy.cjs";
import * as reexported from "./lib/reexport.cjs";
import circular from "./lib/circular-a.cjs";
import umd from "./lib/umd.cjs";

const routes: Record<string, () => unknown> = {
  "/named": () => [named, typeof whole, whole.named, Object.keys(namespace).sort(), counter.next(), counter.next(), whole.counter === counter],
  "/lazy": () => [lazy(), lazy()],
  "/transpiled": () => [JSON.stringify(transpiled), value],
  "/callable": () => [callable(2), (callable as any).extra, typeof callable],
  "/sloppy": () => sloppy(),
  "/reexported": () => [Object.keys(reexported).sort(), (reexported as any).fromA, (reexported as any).data.list],
  "/circular": () => circular,
  "/umd": () => umd.name,
};

export default {
  fetch(request: Request): Response {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(route()) : new Response("no such route", { status: 404 });
  },
};
