export interface Item {
  id: number;
  text: string;
  done: number;
}

/** Every list, with how much of it is done. */
export async function lists(db: D1Database): Promise<unknown[]> {
  const { results } = await db
    .prepare(
      `SELECT list.id, list.name, count(item.id) AS items, coalesce(sum(item.done), 0) AS done
       FROM list LEFT JOIN item ON item.list_id = list.id GROUP BY list.id ORDER BY list.name`,
    )
    .all();
  return results;
}

export async function addList(db: D1Database, name: string): Promise<unknown> {
  return db.prepare("INSERT INTO list (name) VALUES (?) RETURNING id, name").bind(name).first();
}

/** One list with its items: two statements, one trip, one state of the database. */
export async function all(db: D1Database, id: number): Promise<unknown> {
  const [list, items] = await db.batch<any>([
    db.prepare("SELECT id, name FROM list WHERE id = ?").bind(id),
    db.prepare("SELECT id, text, done FROM item WHERE list_id = ? ORDER BY position").bind(id),
  ]);
  return list!.results.length === 0 ? null : { ...list!.results[0], items: items!.results };
}

/** Its items go with it, as the foreign key says. */
export async function removeList(db: D1Database, id: number): Promise<unknown> {
  const { meta } = await db.prepare("DELETE FROM list WHERE id = ?").bind(id).run();
  return meta.changes === 0 ? null : { removed: id };
}

export async function addItem(db: D1Database, list: number, text: string): Promise<unknown> {
  return db
    .prepare(
      `INSERT INTO item (list_id, text, position)
       SELECT id, ?2, (SELECT coalesce(max(position), 0) + 1 FROM item WHERE list_id = ?1) FROM list WHERE id = ?1
       RETURNING id, text, done`,
    )
    .bind(list, text)
    .first();
}

export async function setDone(db: D1Database, id: number, done: boolean): Promise<unknown> {
  return db.prepare("UPDATE item SET done = ? WHERE id = ? RETURNING id, text, done").bind(done, id).first();
}

/** Puts an item at a place in its list: what is read decides what is written, so both are one transaction. */
export async function moveItem(db: D1Database, id: number, place: number): Promise<unknown> {
  return db.transaction(async (tx) => {
    const moved = await tx.prepare("SELECT list_id FROM item WHERE id = ?").bind(id).first<number>("list_id");
    if (moved === null) return null;
    const { results } = await tx.prepare("SELECT id FROM item WHERE list_id = ? ORDER BY position").bind(moved).all<Item>();
    const order = results.map((item) => item.id).filter((other) => other !== id);
    order.splice(Math.max(0, place - 1), 0, id);
    for (const [at, item] of order.entries()) {
      await tx.prepare("UPDATE item SET position = ? WHERE id = ?").bind(at + 1, item).run();
    }
    return { order };
  });
}

/** Items with all of these words. What a person typed is quoted word by word, so none of it is syntax. */
export async function search(db: D1Database, words: string): Promise<unknown[]> {
  const query = words.split(/\s+/).filter(Boolean).map((word) => `"${word.replaceAll('"', '""')}"`).join(" ");
  if (query === "") return [];
  const { results } = await db
    .prepare(
      `SELECT item.id, item.text, list.name AS list FROM item_words
       JOIN item ON item.id = item_words.rowid JOIN list ON list.id = item.list_id
       WHERE item_words MATCH ? ORDER BY rank LIMIT 50`,
    )
    .bind(query)
    .all();
  return results;
}
