// Sessions in KV: one entry for each under its identifier, and one for each user that lists theirs, which always agree.

export interface Session {
  user: string;
  startedAt: number;
  /** Changed with each request that changes something. */
  visits: number;
}

export interface Found {
  id: string;
  session: Session;
  revision: number;
}

type Ids = string[];

const sessionKey = (id: string) => `session/${id}`;
const userKey = (user: string) => `user/${user}`;

export async function find(kv: KVNamespace, id: string): Promise<Found | null> {
  const { value, revision } = await kv.getWithMetadata<Session>(sessionKey(id), "json");
  return value === null || revision === null ? null : { id, session: value, revision };
}

/** Starts a session. A user who has as many as they may loses the oldest, in the same transaction. */
export async function start(kv: KVNamespace, id: string, user: string, ttlS: number, most: number): Promise<void> {
  for (;;) {
    const { value, revision } = await kv.getWithMetadata<Ids>(userKey(user), "json");
    const ids = [...(value ?? []), id];
    const ended = ids.splice(0, Math.max(0, ids.length - most));
    const session: Session = { user, startedAt: Date.now(), visits: 0 };
    const change = kv
      .atomic()
      .check({ key: userKey(user), revision })
      .put(sessionKey(id), JSON.stringify(session), { expirationTtl: ttlS })
      .put(userKey(user), JSON.stringify(ids), { expirationTtl: ttlS });
    for (const old of ended) change.delete(sessionKey(old));
    if (await committed(change.commit())) return;
  }
}

/** Notes a visit and begins the time of the session anew. False if it ended meanwhile. */
export async function touch(kv: KVNamespace, found: Found, ttlS: number): Promise<boolean> {
  const session: Session = { ...found.session, visits: found.session.visits + 1 };
  const change = kv
    .atomic()
    .check({ key: sessionKey(found.id), revision: found.revision })
    .put(sessionKey(found.id), JSON.stringify(session), { expirationTtl: ttlS });
  if (await committed(change.commit())) {
    found.session = session;
    return true;
  }
  // Another request of the same session was quicker, or it was ended elsewhere.
  const now = await find(kv, found.id);
  if (now === null) return false;
  Object.assign(found, now);
  return touch(kv, found, ttlS);
}

export async function end(kv: KVNamespace, found: Found): Promise<void> {
  await kv.delete(sessionKey(found.id));
}

/** Ends every session of a user, whatever they do meanwhile. */
export async function endAll(kv: KVNamespace, user: string): Promise<number> {
  for (;;) {
    const { value, revision } = await kv.getWithMetadata<Ids>(userKey(user), "json");
    const ids = value ?? [];
    const change = kv.atomic().check({ key: userKey(user), revision }).delete(userKey(user));
    for (const id of ids) change.delete(sessionKey(id));
    if (await committed(change.commit())) return ids.length;
  }
}

/** Whether it happened; false if somebody else was quicker. */
async function committed(commit: Promise<unknown>): Promise<boolean> {
  try {
    await commit;
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "revision_conflict") return false;
    throw error;
  }
}
