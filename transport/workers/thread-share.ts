/**
 * ThreadShare: a share in a thread of its own, as the main thread sees it; and the thread's side of that.
 *
 * Configurations go over as deltas to the one in force there. A thread that ends unasked ends the process: what it had in
 * hand is on disk and counted as a crash, which only a new process looks at.
 *
 * @module
 */
import { type MessagePort, Worker } from "node:worker_threads";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { MetricFigures } from "../../lib/merge-metrics.ts";
import { answerCalls, createCaller } from "./calls.ts";
import { applyDelta, type Delta, deltaOf } from "./delta.ts";
import type { BoundAddress, Configuration, PreparedShare, Share, ShareFigures } from "./share.ts";

export interface ThreadOptions {
  /** The file that the thread runs: it calls serveShare(). */
  readonly entry: URL;
  /** What the thread opens its share with; must be cloneable. */
  readonly data: unknown;
  /** For logs and for the list of threads: "worker 1". */
  readonly name: string;
  /** The thread ended, and nobody had asked it to. Left out: that is an uncaught error of this process. */
  readonly onLost?: (cause: Error) => void;
}

/** What is called over the thread's port. */
interface ShareVerbs {
  open(): Promise<void>;
  prepare(delta: Delta): Promise<readonly Diagnostic[]>;
  take(): Promise<readonly BoundAddress[]>;
  drop(): Promise<void>;
  startWork(): Promise<void>;
  setDraining(draining: boolean): Promise<void>;
  look(): Promise<ShareFigures>;
  metrics(): Promise<readonly MetricFigures[]>;
  rest(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Resolves when its share is open; rejects with why it is not. */
export async function openThreadShare(options: ThreadOptions): Promise<Share> {
  const { entry, data, name, onLost = throwLater } = options;
  const worker = new Worker(entry, { workerData: data, name: `postroom ${name}` });
  const { call, end } = createCaller<ShareVerbs>(worker);
  let state: "opening" | "open" | "ended" = "opening";
  const lose = (why: string) => {
    const error = new Error(`The thread of ${name} ended: ${why}`);
    end(error);
    if (state === "open") onLost(error);
    state = "ended";
  };
  worker.on("error", (cause) =>
    lose(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)),
  );
  worker.on("exit", (code) => lose(`exit code ${code}`));
  const terminate = async () => {
    state = "ended";
    await worker.terminate();
  };
  try {
    await call("open");
    state = "open";
  } catch (cause) {
    await terminate();
    throw cause;
  }

  let inForce: Configuration | undefined;
  let bound: readonly BoundAddress[] = [];
  let closing: Promise<void> | undefined;
  return {
    async prepare(next): Promise<PreparedShare> {
      const diagnostics = await call("prepare", deltaOf(inForce, next));
      return {
        diagnostics,
        async take() {
          inForce = next;
          bound = await call("take");
        },
        drop: () => call("drop"),
      };
    },
    startWork: () => call("startWork"),
    setDraining: (draining) => call("setDraining", draining),
    bindings: () => bound,
    look: () => call("look"),
    metrics: () => call("metrics"),
    rest: (graceMs) => call("rest", graceMs),
    close() {
      closing ??= call("close").then(terminate);
      return closing;
    },
  };
}

/** The thread's side: opens a share when asked to, and does with it what the main thread says. */
export function serveShare(port: MessagePort, open: () => Promise<Share>): void {
  let share: Share | undefined;
  let inForce: Configuration | undefined;
  let ready: { readonly next: Configuration; readonly prepared: PreparedShare } | undefined;
  const opened = () => needed(share, "the share is not open");
  const takeReady = () => {
    const taken = needed(ready, "nothing is prepared");
    ready = undefined;
    return taken;
  };
  answerCalls<ShareVerbs>(port, {
    async open() {
      share = await open();
    },
    async prepare(delta) {
      const next = applyDelta(inForce, delta);
      const prepared = await opened().prepare(next);
      ready = { next, prepared };
      return prepared.diagnostics;
    },
    async take() {
      const { next, prepared } = takeReady();
      inForce = next;
      await prepared.take();
      return opened().bindings();
    },
    drop: () => takeReady().prepared.drop(),
    startWork: () => opened().startWork(),
    setDraining: (draining) => opened().setDraining(draining),
    look: () => opened().look(),
    metrics: () => opened().metrics(),
    rest: (graceMs) => opened().rest(graceMs),
    close: () => opened().close(),
  });
}

function needed<Thing>(thing: Thing | undefined, why: string): Thing {
  if (thing === undefined) throw new Error(`Called too early: ${why}`);
  return thing;
}

/** Outside of any promise, so that nobody can take it for an answer. */
function throwLater(cause: Error): void {
  setImmediate(() => {
    throw cause;
  });
}
