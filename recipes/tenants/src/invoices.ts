// The invoices of one tenant. No statement here names a tenant: there is no other one in the database.

import type { Plan } from "./tenants.ts";

/** Invoices of the free plan. */
export const FREE_MAX = 3;

export interface Invoice {
  number: number;
  customer: string;
  cents: number;
  paid: number;
}

export async function list(db: D1Database): Promise<Invoice[]> {
  return (await db.prepare("SELECT * FROM invoice ORDER BY number").all<Invoice>()).results;
}

/** Of what is not paid yet, in cents. */
export async function total(db: D1Database): Promise<number> {
  return (await db.prepare("SELECT ifnull(sum(cents), 0) AS cents FROM invoice WHERE NOT paid").first<number>("cents")) ?? 0;
}

/** The new invoice's number: the next one, without a gap. `null` where the plan allows no more. */
export async function add(db: D1Database, customer: string, cents: number, plan: Plan): Promise<number | null> {
  const insert = db.prepare(
    `INSERT INTO invoice (number, customer, cents)
     SELECT ifnull(max(number), 0) + 1, ?1, ?2 FROM invoice HAVING ?3 OR count(*) < ${FREE_MAX} RETURNING number`,
  );
  return insert.bind(customer, cents, plan === "paid" ? 1 : 0).first<number>("number");
}

export async function pay(db: D1Database, number: number): Promise<boolean> {
  return (await db.prepare("UPDATE invoice SET paid = 1 WHERE number = ? AND NOT paid").bind(number).run()).meta.changes === 1;
}
