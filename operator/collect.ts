/**
 * Collection of garbage: chunks that no revision names any more, and Secrets of keys that none needs.
 *
 * What is young stays, whoever names it: the operator writes chunks before the head that names them, and a pod may still
 * read those of the head it saw a moment ago.
 */
import { isNotFound } from "../lib/kube/errors.ts";

export interface CollectableChunk {
  readonly name: string;
  readonly digest: string;
  /** ms since 1970. */
  readonly createdAt: number;
}

export interface CollectableSecret {
  readonly name: string;
  readonly createdAt: number;
}

const YOUNG_MS = 600_000;
/** Deletions of one run; the rest waits for the next. */
const MOST_PER_RUN = 200;
const AT_ONCE = 4;

/** Names of the chunks that nothing needs, the oldest first. Pure. */
export function chunksToDelete(state: {
  readonly chunks: Iterable<CollectableChunk>;
  /** Digests of the index and all its parts, of every revision that may be asked for. */
  readonly keep: ReadonlySet<string>;
  readonly now: number;
  readonly minAgeMs?: number;
}): readonly string[] {
  const { chunks, keep, now, minAgeMs = YOUNG_MS } = state;
  return [...chunks]
    .filter(({ digest, createdAt }) => !keep.has(digest) && now - createdAt >= minAgeMs)
    .sort((a, b) => a.createdAt - b.createdAt)
    .map(({ name }) => name);
}

/** The same for Secrets named <transport>-keys-<n>. Other Secrets are not looked at. Pure. */
export function keySecretsToDelete(state: {
  readonly transport: string;
  readonly secrets: Iterable<CollectableSecret>;
  /** Names in current, canary and refused of the head. */
  readonly keep: ReadonlySet<string>;
  readonly now: number;
  readonly minAgeMs?: number;
}): readonly string[] {
  const { transport, secrets, keep, now, minAgeMs = YOUNG_MS } = state;
  const prefix = `${transport}-keys-`;
  return [...secrets]
    .filter(({ name }) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .filter(({ name, createdAt }) => !keep.has(name) && now - createdAt >= minAgeMs)
    .sort((a, b) => a.createdAt - b.createdAt)
    .map(({ name }) => name);
}

export interface Collected {
  readonly deleted: number;
  /** More than one run may delete: run again soon. */
  readonly left: number;
}

/** Deletes by name, a few at once, at most `most` in one run. One that is gone already counts as deleted. */
export async function deleteByName(
  names: readonly string[],
  { remove, most = MOST_PER_RUN }: { remove(name: string): Promise<unknown>; readonly most?: number },
): Promise<Collected> {
  const batch = names.slice(0, most).values();
  let deleted = 0;
  const worker = async () => {
    for (const name of batch) {
      await remove(name).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
      deleted += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { deleted, left: names.length - deleted };
}
