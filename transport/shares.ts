/**
 * Shares: opens as many as there are workers. One is in this thread; several have a thread each, and nothing in common
 * but the listening addresses, the limits of the whole, and the folders of tracking and drops.
 *
 * What an earlier run with more workers has left in queues of their own is delivered by further threads, each until its
 * queue is empty: then the queue's folder is removed.
 *
 * @module
 */
import { rename, rm } from "node:fs/promises";
import type { LogOptions } from "../lib/log.ts";
import type { Base } from "./rooms.ts";
import { openShare, type ShareOptions } from "./share.ts";
import { allocateCommons, partOf, type ThreadData } from "./share-part.ts";
import {
  createSteadyPorts,
  type JoinedShares,
  joinShares,
  openThreadShare,
  type QueueFolder,
  queueFolder,
  queueFolders,
  type Share,
} from "./workers/mod.ts";

export interface SharesOptions extends Omit<ShareOptions, "part" | "use"> {
  /** How many take mail. */
  readonly workers: number;
  /** How the threads log, each to standard output. */
  readonly threadLog: LogOptions;
}

interface LeftShare {
  readonly share: Share;
  readonly folder: QueueFolder;
}

const ENTRY = new URL("./share-thread.ts", import.meta.url);
const RETIRE_EVERY_MS = 5000;

/** Rejects when a queue's folder is in use, and when what only this thread has must go to others. */
export async function openShares(options: SharesOptions, base: Base): Promise<Share> {
  const { workers, state } = options;
  const left = queueFolders(state).filter(({ share }) => share >= workers);
  if (workers === 1 && left.length === 0) return openShare(options, base);
  refuseOwn(options);
  const folders = Array.from({ length: workers }, (_, share) => ({ share, path: queueFolder(state, share) }));
  const opened = await openAll([...folders, ...left], options, base);
  const taking = opened.slice(0, workers);
  const leftShares = left.map((folder, at) => ({ folder, share: opened[workers + at] as Share }));
  const joined = joinShares(
    taking,
    leftShares.map(({ share }) => share),
  );
  const all = withRetirement(joined, leftShares, base);
  return workers === 1 ? all : withSteadyPorts(all, options);
}

/** A function cannot be sent to a thread. */
function refuseOwn({ agents, resolver, clock }: SharesOptions): void {
  const own = Object.entries({ agents, resolver, clock }).find(([, value]) => value !== undefined);
  if (own !== undefined) throw new Error(`Cannot run worker threads with ${own[0]} of one's own`);
}

/** All, or none is left open. */
async function openAll(
  folders: readonly QueueFolder[],
  options: SharesOptions,
  base: Base,
): Promise<readonly Share[]> {
  const { workers, state, listenAddress, poisonThreshold, memoryLimit, threadLog } = options;
  const commons = allocateCommons(folders.length);
  const open = ({ share: worker, path: queue }: QueueFolder, slot: number) => {
    const place = { slot, queue, commons, sharesPorts: workers > 1 };
    if (workers === 1 && slot === 0) return openShare({ ...options, ...partOf(place) }, base);
    const own = { state, listenAddress, poisonThreshold, memoryLimit };
    const data: ThreadData = { ...own, worker, place, log: threadLog };
    return openThreadShare({ entry: ENTRY, data, name: `worker ${worker}` });
  };
  const tries = await Promise.allSettled(folders.map(open));
  const opened = tries.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = tries.find((one) => one.status === "rejected");
  if (failed === undefined) return opened;
  await Promise.all(opened.map((share) => share.close()));
  throw failed.reason;
}

/** Looks again and again whether a queue that was left is empty by now. */
function withRetirement(joined: JoinedShares, left: readonly LeftShare[], { clock, room }: Base): Share {
  const log = room("transport");
  const stopped = new AbortController();
  let retiring: Promise<void> = Promise.resolve();
  const retireAll = async () => {
    for (const waiting = new Set(left); waiting.size > 0; ) {
      for (const one of waiting) if (await retire(one)) waiting.delete(one);
      await clock.sleep(RETIRE_EVERY_MS, stopped.signal);
    }
  };
  const retire = async ({ share, folder }: LeftShare): Promise<boolean> => {
    stopped.signal.throwIfAborted();
    if (!(await joined.retire(share))) return false;
    await removeAtOnce(folder.path);
    log.info({ worker: folder.share, queue: folder.path }, "queue of a former worker is empty and removed");
    return true;
  };
  return {
    ...joined,
    async startWork() {
      await joined.startWork();
      for (const { folder } of left)
        log.info({ worker: folder.share, queue: folder.path }, "queue of a former worker is delivered");
      retiring = retireAll().catch((cause: unknown) => {
        if (stopped.signal.aborted) return;
        log.error({ cause: String(cause) }, "queue of a former worker not removed");
      });
    },
    rest(graceMs) {
      stopped.abort();
      return joined.rest(graceMs);
    },
    async close() {
      // Whoever opens the folders next must not find one that is being removed.
      await retiring;
      await joined.close();
    },
  };
}

/** Under its name it is there whole or not at all: half a database is worse than none. */
async function removeAtOnce(folder: string): Promise<void> {
  const aside = `${folder}.removed`;
  await rm(aside, { recursive: true, force: true });
  await rename(folder, aside);
  await rm(aside, { recursive: true });
}

/** Tests bind port 0: all shares listen at the port that the first try got. */
function withSteadyPorts(share: Share, { listenAddress = "::" }: SharesOptions): Share {
  const ports = createSteadyPorts(listenAddress);
  return {
    ...share,
    async prepare(next) {
      const { assigned, release } = await ports.assign(next);
      return await share.prepare(assigned).finally(release);
    },
  };
}
