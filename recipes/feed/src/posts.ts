// What is true, in the database.

export interface Post {
  id: number;
  author: string;
  text: string;
  at: number;
}

export async function follow(db: D1Database, author: string, reader: string): Promise<void> {
  await db.prepare("INSERT INTO follow VALUES (?, ?) ON CONFLICT DO NOTHING").bind(author, reader).run();
}

export async function unfollow(db: D1Database, author: string, reader: string): Promise<void> {
  await db.prepare("DELETE FROM follow WHERE author = ? AND reader = ?").bind(author, reader).run();
}

/** Writes a post, and in the same transaction that it is to be brought to whoever follows. */
export async function post(db: D1Database, author: string, text: string): Promise<number> {
  const insert = db.prepare("INSERT INTO post (author, text, at) VALUES (?, ?, ?) RETURNING id").bind(author, text, Date.now());
  const note = db.prepare("INSERT INTO outbox (post) VALUES (last_insert_rowid())");
  const [made] = await db.batch<{ id: number }>([insert, note]);
  return made!.results[0]!.id;
}

/** The newest posts of those whom a reader follows. */
export async function newest(db: D1Database, reader: string, count: number): Promise<Post[]> {
  const query = db.prepare(
    `SELECT post.* FROM follow JOIN post USING (author) WHERE follow.reader = ? ORDER BY post.id DESC LIMIT ?`,
  );
  return (await query.bind(reader, count).all<Post>()).results;
}

/** The next post on its way, and some of those it has not come to. */
export async function next(db: D1Database, count: number): Promise<{ post: Post; readers: string[] } | null> {
  type Row = Post & { after_reader: string };
  const first = "SELECT post.*, after_reader FROM outbox JOIN post ON post.id = outbox.post ORDER BY outbox.post LIMIT 1";
  const row = await db.prepare(first).first<Row>();
  if (row === null) return null;
  const { after_reader, ...post } = row;
  const query = db.prepare("SELECT reader FROM follow WHERE author = ? AND reader > ? ORDER BY reader LIMIT ?");
  const { results } = await query.bind(post.author, after_reader, count).all<{ reader: string }>();
  return { post, readers: results.map((found) => found.reader) };
}

/** Notes that a post has come to these; to all, if there are none left. */
export async function brought(db: D1Database, id: number, readers: string[], all: boolean): Promise<void> {
  if (all) await db.prepare("DELETE FROM outbox WHERE post = ?").bind(id).run();
  else await db.prepare("UPDATE outbox SET after_reader = ? WHERE post = ?").bind(readers.at(-1), id).run();
}
