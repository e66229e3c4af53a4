/**
 * Reads one revision: chunks by their digests, from memory, disk or the API server; keys from the Secret that the head names.
 *
 * Rejects with RefusedError for what is there and wrong, else with why it cannot be had. Just after the head was written an
 * object may not be there yet, or the Role may not name it yet: such calls are tried again for three seconds.
 *
 * @module
 */
import { chunkName, type KeysRef, type Revision, SnapshotChunkSpec } from "../crds/delivery-kinds.ts";
import type { Clock } from "../lib/clock.ts";
import type { Compiled } from "../lib/diagnostics.ts";
import { isForbidden, isNotFound } from "../lib/kube/errors.ts";
import { RESOURCES, resourcePath } from "../lib/kube/paths.ts";
import type { KubeHttp, KubeObject, ResourceType } from "../lib/kube/types.ts";
import {
  decodeChunk,
  indexDigests,
  type Secrets,
  type UnpackMemory,
  unpackSnapshot,
} from "../snapshot/mod.ts";
import { type Offer, RefusedError } from "./configuration-source.ts";
import { inParallel } from "./in-parallel.ts";
import { type Keys, readKeys, type SnapshotStore } from "./snapshot-store.ts";

export interface RevisionReaderDeps {
  readonly http: KubeHttp;
  readonly namespace: string;
  readonly transport: string;
  readonly store: SnapshotStore;
  readonly clock: Clock;
}

export interface RevisionReader {
  /** `news` ends the pauses between tries. */
  read(revision: Revision, news: AbortSignal): Promise<Offer>;
  /** Fetches chunks that are soon wanted, so that read() need not. Never rejects: what is missing is for read() to say. */
  fetchAhead(digest: string, news: AbortSignal): Promise<void>;
}

const PARALLEL = 8;
const PAUSES_MS = [50, 100, 200, 400, 800, 1600];
const NO_KEYS: Secrets = new Map();

export function createRevisionReader(deps: RevisionReaderDeps, memory: UnpackMemory): RevisionReader {
  let held: { readonly keys: Keys; readonly secrets: Secrets } | undefined;
  let ahead: Ahead | undefined;

  /** Keys that did not change are the very same object. */
  const secretsOf = async (ref: KeysRef | undefined, news: AbortSignal): Promise<Secrets> => {
    if (ref === undefined) {
      held = undefined;
      return NO_KEYS;
    }
    if (held?.keys.ref.digest !== ref.digest) {
      const keys = await fetchKeys(ref, deps, news);
      held = { keys, secrets: wrongIs(() => readKeys(keys)) };
    }
    return held.secrets;
  };

  return {
    async read({ revision, digest, keys: ref }, news) {
      const [secrets, { digests, texts }] = await Promise.all([
        secretsOf(ref, news),
        gatherChunks(digest, { ...deps, memory, ahead: ahead?.texts }, news),
      ]);
      ahead = undefined;
      const snapshot = unwrap(unpackSnapshot({ digest, chunks: texts }, memory));
      return { snapshot, secrets, keep: { digest, digests, texts, cluster: { revision, keys: held?.keys } } };
    },
    async fetchAhead(digest, news) {
      if (ahead?.digest === digest) return;
      const texts = await gatherChunks(digest, { ...deps, memory }, news).then(
        (gathered) => gathered.texts,
        () => undefined,
      );
      ahead = texts && { digest, texts };
    },
  };
}

interface Ahead {
  /** Of the revision. */
  readonly digest: string;
  readonly texts: ReadonlyMap<string, string>;
}

/** All digests, and the texts of those chunks that memory and disk do not both have. */
async function gatherChunks(
  digest: string,
  deps: RevisionReaderDeps & {
    readonly memory: UnpackMemory;
    readonly ahead?: ReadonlyMap<string, string> | undefined;
  },
  news: AbortSignal,
): Promise<{ readonly digests: readonly string[]; readonly texts: ReadonlyMap<string, string> }> {
  const { store, memory, ahead } = deps;
  const textOf = async (one: string) =>
    ahead?.get(one) ?? (await store.text(one)) ?? (await fetchChunk(one, deps, news));
  const index = await textOf(digest);
  const named = unwrap(indexDigests(index));
  const texts = new Map([[digest, index]]);
  const missing = named.filter((one) => !(memory.has(one) && store.has(one)));
  await inParallel(missing, PARALLEL, async (one) => texts.set(one, await textOf(one)));
  return { digests: [digest, ...named], texts };
}

async function fetchChunk(digest: string, deps: RevisionReaderDeps, news: AbortSignal): Promise<string> {
  const name = chunkName(deps.transport, digest);
  const { spec } = await get(RESOURCES.SnapshotChunk, name, { ...deps, news });
  const chunk = SnapshotChunkSpec.safeParse(spec);
  if (!chunk.success || chunk.data.digest !== digest)
    throw new RefusedError(
      `SnapshotChunk "${name}" is not the one it should be: delete it, the operator writes it anew`,
    );
  return unwrap(decodeChunk(chunk.data));
}

async function fetchKeys(ref: KeysRef, deps: RevisionReaderDeps, news: AbortSignal): Promise<Keys> {
  const { data } = await get(RESOURCES.Secret, ref.secret, { ...deps, news });
  const { "keys.json": keys = "", salt = "" } = (data ?? {}) as Record<string, string>;
  return { ref, text: Buffer.from(keys, "base64").toString("utf8"), salt };
}

async function get(
  type: ResourceType,
  name: string,
  { http, namespace, clock, news }: RevisionReaderDeps & { readonly news: AbortSignal },
): Promise<KubeObject> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await http.request({ method: "GET", path: resourcePath(type, { namespace, name }) });
    } catch (cause) {
      const pauseMs = PAUSES_MS[tries];
      if (pauseMs === undefined || !(isNotFound(cause) || isForbidden(cause))) throw cause;
      await clock.sleep(pauseMs, news).catch(() => {
        throw cause;
      });
    }
  }
}

function unwrap<Value>(read: Compiled<Value>): Value {
  if (read.ok) return read.value;
  throw new RefusedError(read.diagnostics.map(({ message }) => message).join("; "));
}

function wrongIs<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw new RefusedError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
