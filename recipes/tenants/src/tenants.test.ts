import { describe, expect, it, env, SELF } from "selvedge:test";
import { add, list, total } from "./invoices.ts";

const post = (path: string, body?: unknown) => SELF.fetch(path, { method: "POST", body: JSON.stringify(body) });
const join = (name: string, plan = "free") => SELF.fetch(`/${name}?plan=${plan}`, { method: "PUT" });

describe("a tenant", () => {
  it("joins once", async () => {
    expect((await join("acme")).status).toBe(201);
    expect((await join("acme")).status).toBe(409);
    expect((await join("Not a name")).status).toBe(404);
    expect((await join("globex", "golden")).status).toBe(422);
    expect((await SELF.fetch("/nobody/invoices")).status).toBe(404);
  });

  it("sees its own invoices, numbered without a gap", async () => {
    for (const name of ["acme", "globex"]) await join(name, "paid");
    const made = [];
    for (const customer of ["ada", "grace"]) made.push(await (await post("/acme/invoices", { customer, cents: 500 })).json());
    made.push(await (await post("/globex/invoices", { customer: "alan", cents: 70 })).json());
    expect(made).toEqual([{ number: 1 }, { number: 2 }, { number: 1 }]);
    expect((await post("/acme/paid/1")).status).toBe(200);
    expect((await post("/acme/paid/1")).status).toBe(404);
    expect(await (await SELF.fetch("/acme/invoices")).json()).toMatchObject({ open_cents: 500 });
    expect(await (await SELF.fetch("/globex/invoices")).json()).toEqual({
      invoices: [{ number: 1, customer: "alan", cents: 70, paid: 0 }],
      open_cents: 70,
    });
  });

  it("has what its plan allows, whoever asks at once", async () => {
    await join("acme");
    const asked = await Promise.all(Array.from({ length: 8 }, () => post("/acme/invoices", { customer: "ada", cents: 1 })));
    expect(asked.filter((answer) => answer.status === 201)).toHaveLength(3);
    expect(asked.filter((answer) => answer.status === 402)).toHaveLength(5);
  });
});

describe("a database", () => {
  it("is made with its tables when it is first asked for", async () => {
    const db = env.TENANTS.get("newcomer");
    expect(await list(db)).toEqual([]);
    expect(await add(db, "ada", 5, "free")).toBe(1);
    expect(await total(db)).toBe(5);
    expect(await list(env.TENANTS.get("another"))).toEqual([]);
  });

  it("refuses what is no sum", async () => {
    await join("acme");
    expect((await post("/acme/invoices", { customer: "ada", cents: -5 })).status).toBe(422);
    expect((await post("/acme/invoices", { customer: "'); DROP TABLE invoice; --", cents: 5 })).status).toBe(201);
    expect((await list(env.TENANTS.get("acme"))).map((invoice) => invoice.customer)).toEqual(["'); DROP TABLE invoice; --"]);
  });
});
