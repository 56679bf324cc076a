// Invoices of many companies: one database for each, so that no query can mix them up.

import { add, list, pay, total } from "./invoices.ts";
import { find, NAME, register, type Plan } from "./tenants.ts";

export default {
  async fetch(request, env): Promise<Response> {
    const [, name = "", what, number] = new URL(request.url).pathname.split("/");
    // The name becomes part of a database's: nothing but what a tenant's name may be gets that far.
    if (!NAME.test(name)) return problem(404, "There is nothing here.");
    if (request.method === "PUT" && what === undefined) {
      const plan = new URL(request.url).searchParams.get("plan") ?? "free";
      if (plan !== "free" && plan !== "paid") return problem(422, "A plan is free or paid.");
      return (await register(env.REGISTRY, name, plan)) ? problem(201, "Welcome.") : problem(409, "The name is taken.");
    }
    const tenant = await find(env.REGISTRY, name);
    if (tenant === null) return problem(404, "There is no such tenant.");
    return invoices(request, env.TENANTS.get(name), tenant.plan, what, number);
  },
} satisfies { fetch(request: Request, env: Env): Promise<Response> };

async function invoices(
  request: Request,
  db: D1Database,
  plan: Plan,
  what: string | undefined,
  number: string | undefined,
): Promise<Response> {
  switch (`${request.method} ${what}`) {
    case "GET invoices":
      return Response.json({ invoices: await list(db), open_cents: await total(db) });
    case "POST invoices": {
      const { customer, cents } = (await request.json()) as { customer?: unknown; cents?: unknown };
      if (typeof customer !== "string" || customer === "" || !Number.isSafeInteger(cents) || (cents as number) < 1) {
        return problem(422, "An invoice has a customer, and cents.");
      }
      const made = await add(db, customer, cents as number, plan);
      return made === null ? problem(402, "The free plan ends here.") : Response.json({ number: made }, { status: 201 });
    }
    case "POST paid":
      return (await pay(db, Number(number))) ? problem(200, "Thank you.") : problem(404, "There is no open invoice.");
    default:
      return problem(404, "There is nothing here.");
  }
}

function problem(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
