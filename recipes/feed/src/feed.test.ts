import { describe, expect, it, env, SELF } from "selvedge:test";
import { follow, next, post, type Post } from "./posts.ts";
import { bring, LENGTH } from "./timelines.ts";

const send = (method: string, path: string, body?: string) => SELF.fetch(path, { method, body });
const read = async (who: string): Promise<string[]> =>
  ((await (await SELF.fetch(`/${who}/timeline`)).json()) as Post[]).map((found) => found.text);

describe("a timeline", () => {
  it("has the posts of those one follows, the newest first", async () => {
    await send("PUT", "/ada/following/grace");
    await send("PUT", "/ada/following/alan");
    expect(await read("ada")).toEqual([]);
    for (const [who, what] of [["grace", "one"], ["alan", "two"], ["mary", "three"], ["grace", "four"]]) {
      expect((await send("POST", `/${who}/posts`, what)).status).toBe(202);
    }
    await expect.poll(() => read("ada"), { timeout: 4_000 }).toEqual(["four", "two", "one"]);
    expect(await next(env.DB, 10)).toBeNull();
  });

  it("is made of what is true where there is none", async () => {
    await send("POST", "/grace/posts", "before");
    await send("PUT", "/ada/following/grace");
    expect(await read("ada")).toEqual(["before"]);
    await send("DELETE", "/ada/following/grace");
    expect(await read("ada")).toEqual([]);
  });

  it("is one value, which takes no query", async () => {
    await send("PUT", "/ada/following/grace");
    await read("ada");
    await env.DB.exec("DROP TABLE post");
    expect(await read("ada")).toEqual([]);
  });

  it("is as long as it may be, and takes a post once", async () => {
    await env.TIMELINES.put("ada", "[]");
    const made = (id: number): Post => ({ id, author: "grace", text: `${id}`, at: id });
    await Promise.all(Array.from({ length: 60 }, (_, n) => bring(env.TIMELINES, "ada", made(n + 1))));
    await bring(env.TIMELINES, "ada", made(60));
    const all = await read("ada");
    expect(all).toHaveLength(LENGTH);
    expect(all.slice(0, 2)).toEqual(["60", "59"]);
  });
});

describe("the fan-out", () => {
  it("reaches everybody, step by step", async () => {
    const readers = Array.from({ length: 230 }, (_, n) => `reader-${String(n).padStart(3, "0")}`);
    for (const reader of readers) {
      await follow(env.DB, "grace", reader);
      await env.TIMELINES.put(reader, "[]");
    }
    await send("POST", "/grace/posts", "to all");
    await expect.poll(() => next(env.DB, 1), { timeout: 10_000 }).toBeNull();
    for (const reader of [readers[0]!, readers[120]!, readers[229]!]) expect(await read(reader)).toEqual(["to all"]);
  }, 30_000);

  it("goes on with what was left behind", async () => {
    await follow(env.DB, "grace", "ada");
    await env.TIMELINES.put("ada", "[]");
    // Written, and then the node died: nobody woke the fan-out.
    await post(env.DB, "grace", "left behind");
    expect(await read("ada")).toEqual([]);
    await send("POST", "/alan/posts", "another");
    await expect.poll(() => read("ada"), { timeout: 4_000 }).toEqual(["left behind"]);
  });

  it("takes no post that is none", async () => {
    expect((await send("POST", "/grace/posts", " ")).status).toBe(422);
    expect((await send("PUT", "/grace/following/grace")).status).toBe(422);
  });
});
