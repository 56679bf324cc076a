import { describe, expect, it, env, SELF } from "selvedge:test";
import { top, write } from "./page.ts";

const view = async (page: string): Promise<number> =>
  ((await (await SELF.fetch(`/pages/${page}`, { method: "POST" })).json()) as { views: number }).views;

const views = async (page: string): Promise<number> =>
  ((await (await SELF.fetch(`/pages/${page}`)).json()) as { views: number }).views;

describe("a page", () => {
  it("counts every view at once, also of those who come together", async () => {
    const seen = await Promise.all(Array.from({ length: 40 }, () => view("home")));
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(await views("home")).toBe(40);
    expect(await views("about")).toBe(0);
  });

  it("is in the database a moment later, in one write", async () => {
    for (let n = 0; n < 10; n += 1) await view("home");
    expect(await top(env.DB)).toEqual([]);
    await expect.poll(() => top(env.DB), { timeout: 4_000 }).toEqual([{ name: "home", views: 10 }]);
    expect(await env.DB.prepare("SELECT batch FROM page").first("batch")).toBe(1);
    await view("home");
    await expect.poll(() => top(env.DB), { timeout: 4_000 }).toEqual([{ name: "home", views: 11 }]);
    expect(await views("home")).toBe(11);
  });

  it("begins with what the database has", async () => {
    await write(env.DB, "old", { number: 7, views: 1_000 });
    expect(await view("old")).toBe(1_001);
    await expect.poll(() => top(env.DB), { timeout: 4_000 }).toEqual([{ name: "old", views: 1_001 }]);
  });

  it("is told of names that are none", async () => {
    expect((await SELF.fetch("/pages/No%20Page")).status).toBe(404);
    expect((await SELF.fetch("/pages/home", { method: "DELETE" })).status).toBe(405);
  });
});

describe("a batch", () => {
  it("that comes again changes nothing", async () => {
    for (const _ of [1, 2, 3]) await write(env.DB, "home", { number: 1, views: 5 });
    await write(env.DB, "home", { number: 2, views: 1 });
    await write(env.DB, "home", { number: 1, views: 5 });
    expect(await top(env.DB)).toEqual([{ name: "home", views: 6 }]);
  });
});
