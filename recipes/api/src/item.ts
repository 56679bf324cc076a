/**
 * What the two workers agree on.
 */
export interface NewItem {
  sku: string;
  name: string;
  stock: number;
}

/** What can be replaced of an item. */
export type ItemChange = Omit<NewItem, "sku">;

/** An item as it is read: its revision changes with every write. */
export interface Item extends NewItem {
  revision: number;
}

export interface ItemPage {
  items: Item[];
  cursor: string | null;
}

/** Why the store does not do what it was asked to. */
export type Refusal =
  | { reason: "no_item" }
  | { reason: "exists" }
  | { reason: "changed"; revision: number | null }
  | { reason: "out_of_stock"; stock: number }
  | { reason: "contended" }
  | { reason: "bad_cursor" };

/** The store's answer to each of its calls. */
export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };
