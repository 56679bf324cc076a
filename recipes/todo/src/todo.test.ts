import { SELF, describe, expect, it } from "selvedge:test";

const post = (path: string, body?: unknown) =>
  SELF.fetch(`http://todo${path}`, { method: "POST", body: body === undefined ? undefined : JSON.stringify(body) });
const json = async (path: string): Promise<any> => (await SELF.fetch(`http://todo${path}`)).json();

describe("lists", () => {
  it("keep their items in order, and move them", async () => {
    const list: any = await (await post("/lists", { name: "shopping" })).json();
    for (const text of ["milk", "bread", "tea"]) await post(`/lists/${list.id}/items`, { text });
    const { items } = await json(`/lists/${list.id}`);
    expect(items.map((item: any) => item.text)).toEqual(["milk", "bread", "tea"]);
    await post(`/items/${items[2].id}/move/1`);
    const moved = await json(`/lists/${list.id}`);
    expect(moved.items.map((item: any) => item.text)).toEqual(["tea", "milk", "bread"]);
  });

  it("have names of their own, which the database sees to", async () => {
    await post("/lists", { name: "twice" });
    const again = await post("/lists", { name: "twice" });
    expect(again.status).toBe(409);
    expect(await again.json()).toEqual({ error: "UNIQUE constraint failed: list.name" });
  });

  it("take their items with them", async () => {
    const list: any = await (await post("/lists", { name: "short-lived" })).json();
    await post(`/lists/${list.id}/items`, { text: "ephemeral words" });
    expect(await json("/search?q=ephemeral")).toHaveLength(1);
    await SELF.fetch(`http://todo/lists/${list.id}`, { method: "DELETE" });
    expect(await json("/search?q=ephemeral")).toEqual([]);
  });
});

describe("search", () => {
  it("takes what is typed for words, whatever it is", async () => {
    const list: any = await (await post("/lists", { name: "quotes" })).json();
    await post(`/lists/${list.id}/items`, { text: 'say "hello" to Ada' });
    expect(await json(`/search?q=${encodeURIComponent('"hello" OR')}`)).toEqual([]);
    expect(await json(`/search?q=${encodeURIComponent('ada "hello"')}`)).toHaveLength(1);
  });
});
