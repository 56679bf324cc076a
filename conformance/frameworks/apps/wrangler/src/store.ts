export interface Item {
  id: number;
  name: string;
}

export class Store {
  readonly #extra = new Map<number, Item>();
  constructor(private readonly items: Item[], protected count = items.length) {}

  list(limit: number): Item[] {
    return [...this.items, ...this.#extra.values()].slice(0, limit);
  }

  add(item: Omit<Item, "id">): Item {
    const made = { ...item, id: this.count + 1 } as Item;
    return made;
  }
}
