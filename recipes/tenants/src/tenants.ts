// Which tenants there are. Their data lies elsewhere.

export type Plan = "free" | "paid";

export interface Tenant {
  name: string;
  plan: Plan;
}

export const NAME = /^[a-z0-9][a-z0-9-]{0,39}$/;

export async function find(registry: D1Database, name: string): Promise<Tenant | null> {
  return registry.prepare("SELECT name, plan FROM tenant WHERE name = ?").bind(name).first<Tenant>();
}

/** False if somebody has the name. */
export async function register(registry: D1Database, name: string, plan: Plan): Promise<boolean> {
  const insert = registry.prepare("INSERT INTO tenant VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
  return (await insert.bind(name, plan, Date.now()).run()).meta.changes === 1;
}
