import { beforeAll, describe, expect, it, SELF } from "selvedge:test";
import { isSku } from "./validate.ts";

function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return SELF.fetch(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const MUG = { sku: "mug-blue", name: "Blue mug", stock: 3 };

describe("a sku", () => {
  it.each(["a", "mug-blue", "0".repeat(32)])("may be %s", (sku) => {
    expect(isSku(sku)).toBe(true);
  });
  it.each(["", "-a", "a-", "Mug", "0".repeat(33)])("may not be %o", (sku) => {
    expect(isSku(sku)).toBe(false);
  });
});

describe("creating", () => {
  it("answers with the item and its place", async () => {
    const response = await send("POST", "/items", MUG);
    expect(response.status).toBe(201);
    expect(response.headers.get("location")).toBe("/items/mug-blue");
    expect(await response.json()).toEqual({ ...MUG, revision: expect.any(Number) });
  });

  it("says everything that is wrong", async () => {
    const response = await send("POST", "/items", { sku: "Mug!", stok: 3 });
    expect(response.status).toBe(422);
    const problem = await response.json();
    expect(problem.errors.map((error: { pointer: string }) => error.pointer)).toEqual(["/sku", "/name", "/stock", "/stok"]);
  });
});

describe("with an item in stock", () => {
  let etag: string;

  beforeAll(async () => {
    etag = (await send("POST", "/items", MUG)).headers.get("etag")!;
  });

  it("does not make it twice", async () => {
    expect((await send("POST", "/items", MUG)).status).toBe(409);
  });

  it("overwrites nothing unseen", async () => {
    const change = { name: "Mug", stock: 4 };
    expect((await send("PUT", "/items/mug-blue", change)).status).toBe(428);
    expect((await send("PUT", "/items/mug-blue", change, { "if-match": etag })).status).toBe(200);
    expect((await send("PUT", "/items/mug-blue", change, { "if-match": etag })).status).toBe(412);
  });

  it("has the item as it was, whatever the test before did", async () => {
    expect(await (await send("GET", "/items/mug-blue")).json()).toMatchObject(MUG);
  });

  it("never gives one piece to two callers", async () => {
    const takes = await Promise.all(Array.from({ length: 5 }, () => send("POST", "/items/mug-blue/take", { quantity: 1 })));
    const statuses = takes.map((take) => take.status);
    // Too many at once is an answer too: come again.
    expect(statuses.every((status) => [200, 409, 503].includes(status))).toBe(true);
    const { stock } = await (await send("GET", "/items/mug-blue")).json();
    expect(stock).toBe(3 - statuses.filter((status) => status === 200).length);
  });
});
