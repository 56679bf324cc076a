// What is read, in KV: each reader's newest posts as one value.

import { newest, type Post } from "./posts.ts";

/** Posts in a timeline. */
export const LENGTH = 50;

/** A reader's timeline; one that is not there is made of what is true, and kept. */
export async function timeline(env: Env, reader: string): Promise<Post[]> {
  const found = await env.TIMELINES.get<Post[]>(reader, "json");
  if (found !== null) return found;
  const made = await newest(env.DB, reader, LENGTH);
  try {
    // Only where there is none: a post that comes meanwhile is not overwritten.
    await env.TIMELINES.atomic().check({ key: reader, revision: null }).put(reader, JSON.stringify(made)).commit();
  } catch (error) {
    if ((error as { code?: string }).code !== "revision_conflict") throw error;
  }
  return made;
}

/**
 * Brings a post to a timeline, once. A reader who has no timeline gets it when theirs is made, so those who never read
 * cost nothing.
 */
export async function bring(kv: KVNamespace, reader: string, post: Post): Promise<void> {
  for (;;) {
    const { value, revision } = await kv.getWithMetadata<Post[]>(reader, "json");
    if (value === null || value.some((known) => known.id === post.id)) return;
    const posts = [...value, post].sort((a, b) => b.id - a.id).slice(0, LENGTH);
    try {
      await kv.atomic().check({ key: reader, revision }).put(reader, JSON.stringify(posts)).commit();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "revision_conflict") throw error;
    }
  }
}
