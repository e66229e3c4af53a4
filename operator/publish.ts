/** Publishes what a head may name before it names it: keys, then chunks. What is there already is not written again. */
import type { KeysRef } from "../crds/delivery-kinds.ts";
import { encodeChunk, type PackedSnapshot, type Secrets } from "../snapshot/mod.ts";
import type { Cluster, Home } from "./cluster.ts";
import type { HeldChunk } from "./held.ts";
import {
  type HeldKeys,
  keysNumber,
  keysSecretName,
  keysText,
  makeKeysSecret,
  readKeysSecret,
} from "./keys.ts";
import { isOwnedBy } from "./labels.ts";
import type { TransportMemory } from "./memory.ts";
import type { SecretWatch } from "./secret-watch.ts";

/** Chunks written at the same time. */
const AT_ONCE = 8;
/** Names tried for a new Secret; taken ones are left from an operator that died between two writes. */
const MAX_TRIES = 32;

interface Place {
  readonly cluster: Cluster;
  readonly home: Home;
}

/** The Secret that holds these keys, made when what the pods have differs or is gone. undefined: there is nothing to hold. */
export async function publishKeys(
  secrets: Secrets,
  memory: TransportMemory,
  place: Place & { readonly secrets: Pick<SecretWatch, "isGone"> },
): Promise<KeysRef | undefined> {
  if (secrets.size === 0) return undefined;
  const { home } = place;
  const text = keysText(secrets);
  const { keys } = memory;
  const isGone = keys !== undefined && place.secrets.isGone(`${home.namespace}/${keys.ref.secret}`);
  if (keys?.text === text && !isGone) return keys.ref;
  const first = keysNumber(keys?.ref.secret ?? memory.head?.spec.current.keys?.secret ?? "") + 1;
  for (let number = first; number < first + MAX_TRIES; number += 1) {
    const made = makeKeysSecret(text, { ...home, number });
    const isMade = await place.cluster.createSecret(made.object);
    const ref = isMade ? made.ref : (await leftBehind(text, number, place))?.ref;
    if (ref === undefined) continue;
    memory.keys = { ref, text, secrets };
    return ref;
  }
  throw new Error(
    `Cannot store the keys of ${home.namespace}/${home.transport}: ${MAX_TRIES} names are taken`,
  );
}

/** What an operator wrote that died before it wrote the head. */
async function leftBehind(
  text: string,
  number: number,
  { cluster, home }: Place,
): Promise<HeldKeys | undefined> {
  const found = await cluster.readSecret(keysSecretName(home.transport, number), home);
  if (found === undefined || !isOwnedBy(found.metadata, home.owner)) return undefined;
  const keys = readKeysSecret(found);
  return keys?.text === text ? keys : undefined;
}

/** Writes the chunks that are not there. Returns the octets written, compressed. */
export async function publishChunks(
  packed: PackedSnapshot,
  memory: TransportMemory,
  { cluster, home, present }: { cluster: Cluster; home: Home; present: ReadonlyMap<string, HeldChunk> },
): Promise<number> {
  memory.chunks.set(packed.digest, new Set(packed.chunks.keys()));
  const isThere = (digest: string) => {
    const isSeen = present.get(digest)?.owner === home.owner.uid;
    // Seen once, it is taken for written no longer than it is seen: somebody may delete it.
    if (isSeen) memory.written.delete(digest);
    return isSeen || memory.written.has(digest);
  };
  const missing = [...packed.chunks].filter(([digest]) => !isThere(digest)).values();
  let octets = 0;
  const worker = async () => {
    for (const [digest, text] of missing) {
      const spec = await encodeChunk(text);
      await cluster.writeChunk(spec, home);
      memory.written.add(digest);
      const size = Math.floor((spec.data.length * 3) / 4);
      memory.sizes.set(digest, size);
      octets += size;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return octets;
}
