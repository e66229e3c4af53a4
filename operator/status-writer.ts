/**
 * Status writer: the statuses of children, each written once and as newest known, apart from the reconciliation.
 *
 * An edit by a person is answered before ten thousand statuses that changed because a pod came or went. A write that failed
 * is repeated with backoff; an object that is gone is forgotten.
 */
import type { AnyResource } from "../crds/mod.ts";
import type { MonotonicClock } from "../lib/clock.ts";
import { isNotFound } from "../lib/kube/errors.ts";
import { createWorkQueue, type WorkRun } from "../lib/kube/work-queue.ts";
import type { Logger } from "../lib/log.ts";
import type { ResourceStatus } from "./types.ts";

export interface StatusWriterOptions {
  /** Writes it, or nothing when the object has it already. */
  write(kind: AnyResource["kind"], key: string, status: ResourceStatus): Promise<void>;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** Writes at the same time; default 8. */
  readonly concurrency?: number;
  /** Told after each write, for metrics. */
  onRun?(run: WorkRun): void;
}

export interface ChildStatus {
  readonly kind: AnyResource["kind"];
  /** namespace/name. */
  readonly key: string;
  readonly status: ResourceStatus;
  /** observedGeneration of the status as it stands; another one than the new status has: somebody waits for the answer. */
  readonly observedGeneration: number | undefined;
}

export interface StatusWriter {
  /** The newest one wins. */
  put(child: ChildStatus): void;
  /** The object is gone: what waits for it is dropped. */
  forget(kind: AnyResource["kind"], key: string): void;
  idle(): Promise<void>;
  stop(): Promise<void>;
  /** Statuses that wait to be written. */
  readonly depth: number;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { clock, log, concurrency = 8 } = options;
  const newest = new Map<string, ChildStatus>();

  async function write(id: string): Promise<void> {
    const child = newest.get(id);
    if (child === undefined) return;
    try {
      await options.write(child.kind, child.key, child.status);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    // A newer one that came meanwhile is in the queue again.
    if (newest.get(id) === child) newest.delete(id);
  }

  const queue = createWorkQueue({
    process: write,
    clock,
    log,
    concurrency,
    backoff: { firstMs: 50, maxMs: 60_000 },
    ...(options.onRun && { onRun: options.onRun }),
  });

  return {
    put(child) {
      const id = `${child.kind}/${child.key}`;
      newest.set(id, child);
      queue.add(id, { urgent: child.observedGeneration !== child.status.observedGeneration });
    },
    forget(kind, key) {
      newest.delete(`${kind}/${key}`);
    },
    idle: () => queue.idle(),
    stop: () => queue.stop(),
    get depth() {
      return newest.size;
    },
  };
}
