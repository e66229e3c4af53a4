/**
 * The operator: wires the view, the reconciliation and its reports. Every replica watches; the leader alone writes.
 *
 * @module
 */
import { type MonotonicClock, systemClock } from "../lib/clock.ts";
import { serveHttp } from "../lib/http.ts";
import { createEventRecorder } from "../lib/kube/events.ts";
import { createKubeHttp } from "../lib/kube/http.ts";
import { createLeaderElector, type LeaderElectorOptions } from "../lib/kube/leader.ts";
import type { KubeAuth, ReflectorChange } from "../lib/kube/types.ts";
import { createWorkQueue, type WorkQueue } from "../lib/kube/work-queue.ts";
import type { Logger } from "../lib/log.ts";
import { createChildReport, type Verdict, wantedTransports } from "./children.ts";
import { createCluster } from "./cluster.ts";
import { beginTerm, CHILDREN, leadersWork, onlyWhile } from "./leading.ts";
import { createOperatorMetrics } from "./metrics.ts";
import type { OperatorDeps } from "./own.ts";
import { createReconciler } from "./reconcile.ts";
import { type SecretWatch, watchSecrets } from "./secret-watch.ts";
import { createStatusWriter, type StatusWriter } from "./status-writer.ts";
import { rfc3339 } from "./transport-report.ts";
import type { HeldObject } from "./types.ts";
import { type ClusterView, openView } from "./view.ts";

export interface OperatorOptions {
  readonly auth: KubeAuth;
  /** undefined: the whole cluster. */
  readonly namespaces: readonly string[] | undefined;
  /** Where the Lease lies, how it is called, and its times. */
  readonly lease: Pick<
    LeaderElectorOptions,
    "namespace" | "name" | "leaseDurationMs" | "renewDeadlineMs" | "retryPeriodMs"
  >;
  /** Name of this replica, never that of another. */
  readonly identity: string;
  /** Image of transports that name none. */
  readonly image: string;
  readonly http?: { readonly host: string; readonly port: number } | undefined;
  readonly log: Logger;
  readonly clock?: MonotonicClock | undefined;
  /** The lease was lost: another one leads now, and this process should end. */
  onLost(): void;
}

export interface Operator {
  readonly httpPort: number | undefined;
  /** Ends what runs, gives the lease back. */
  stop(): Promise<void>;
}

/** One edit is often several events: they are one reconciliation, and a flood of them is one each half second. */
const DEBOUNCE_MS = 20;
const MAX_DEBOUNCE_MS = 500;
/** What is mended in the cluster is seen within half a minute, without an event that says so. */
const BACKOFF = { firstMs: 10, maxMs: 30_000 };
/** For what runs when the process is told to end. */
const STOP_MS = 5000;
/** Children are told apart from the rollout, which is faster than that as a rule. */
const CHILDREN_MS = 100;
/** One transport that hangs holds up no other. */
const TRANSPORTS_AT_ONCE = 4;

export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const base = openBase(options);
  const { clock, metrics, log, http } = base;
  let isLeading = () => false;
  const { view, secrets } = openWatches(options, base, {
    transport: (key) => isLeading() && queue.add(key),
    acknowledged: (key) => isLeading() && queue.addAfter(key, 0),
    child: (change) => isLeading() && addTransportsOf(change, { view, queue, writer }),
  });
  const { deps, writer, tellChildren } = openReports(options, base, {
    view,
    secrets,
    http: onlyWhile(() => isLeading(), http),
    reportChildren: () => queue.addAfter(CHILDREN, CHILDREN_MS),
  });
  const queue = openQueue(deps, { isLeading: () => isLeading(), reportChildren: tellChildren });
  const elector = createLeaderElector({
    http,
    clock,
    log: log.child({ room: "leader" }),
    ...options.lease,
    identity: options.identity,
    onElected() {
      metrics.leader.set(1);
      void beginTerm({ view, queue, log });
    },
    onLost() {
      metrics.leader.set(0);
      void writer.stop();
      options.onLost();
    },
  });
  isLeading = () => elector.isLeader;
  const endpoint = await serve(options, { view, writer, deps });
  return {
    httpPort: endpoint?.port,
    async stop() {
      // What hangs must not keep the lease from the next one: nothing is written once it is given back.
      const enough = clock.sleep(STOP_MS);
      await Promise.race([Promise.all([queue.stop(), writer.stop()]), enough]);
      await Promise.race([Promise.all([elector.stop(), deps.events.stop()]), enough]);
      view.stop();
      secrets.stop();
      await endpoint?.close();
      http.close();
    },
  };
}

function openBase({ auth, log, clock = systemClock }: OperatorOptions) {
  const metrics = createOperatorMetrics();
  const count = (verb: string, resource: string, code: string) =>
    metrics.requests.inc({ verb, resource, code });
  const http = createKubeHttp({
    auth,
    clock,
    log: log.child({ room: "kube" }),
    userAgent: "postroom-operator",
    count,
  });
  return { clock, metrics, log, http };
}

type Base = ReturnType<typeof openBase>;

/** What every replica does. */
function openWatches(
  { namespaces }: OperatorOptions,
  { clock, log, http }: Base,
  listener: Parameters<typeof openView>[1],
): { view: ClusterView; secrets: SecretWatch } {
  const deps = { http, clock, log: log.child({ room: "watch" }), namespaces };
  const secrets = watchSecrets(deps, (users) => {
    for (const user of users) listener.transport(user);
  });
  return { view: openView(deps, listener), secrets };
}

/** What only the leader does. */
function openReports(
  { identity, image }: OperatorOptions,
  { clock, metrics, log }: Base,
  handed: Pick<OperatorDeps, "view" | "secrets" | "reportChildren"> & { readonly http: Base["http"] },
): { readonly deps: OperatorDeps; readonly writer: StatusWriter; tellChildren(): Promise<void> } {
  const { view, http } = handed;
  const cluster = createCluster(http);
  const writer = createStatusWriter({
    clock,
    log: log.child({ room: "status" }),
    async write(kind, key, status) {
      const object = view.object(kind, key);
      if (object === undefined) return;
      await cluster.applyStatus(kind, { metadata: object.metadata, status: object.status }, status);
    },
    onRun: ({ failed }) => metrics.statusWrites.inc({ outcome: failed ? "failed" : "done" }),
  });
  const verdicts = new Map<string, Verdict>();
  const put: OperatorDeps["put"] = ({ kind, key, status: before }, status) =>
    writer.put({ kind, key, status, observedGeneration: before?.observedGeneration });
  const children = createChildReport({ view, verdicts, put });
  const events = createEventRecorder({
    http,
    clock,
    log,
    reporter: "postroom.dev/operator",
    instance: identity,
  });
  const room = log.child({ room: "reconcile" });
  const deps = { ...handed, cluster, events, clock, log: room, metrics, image, verdicts, put };
  return { deps, writer, tellChildren: () => children.run(rfc3339(clock.now())) };
}

function openQueue(
  deps: OperatorDeps,
  leader: { isLeading(): boolean; reportChildren(): Promise<void> },
): WorkQueue {
  const { clock, log, metrics } = deps;
  const reconciler = createReconciler(deps);
  return createWorkQueue({
    process: leadersWork({ ...deps, ...leader, reconciler }),
    clock,
    log,
    concurrency: TRANSPORTS_AT_ONCE,
    debounceMs: DEBOUNCE_MS,
    maxDebounceMs: MAX_DEBOUNCE_MS,
    backoff: BACKOFF,
    onRun({ tookMs, failed }) {
      metrics.reconciles.inc({ outcome: failed ? "failed" : "done" });
      metrics.reconcileSeconds.observe(tookMs / 1000);
    },
  });
}

/** Both those it attached to before and those it attaches to now. */
function addTransportsOf(
  { now, before }: ReflectorChange<HeldObject>,
  {
    view,
    queue,
    writer,
  }: { readonly view: ClusterView; readonly queue: WorkQueue; readonly writer: StatusWriter },
): void {
  const transports = [...view.objects("MailTransport")].map(({ key }) => key);
  const wanted = [now, before].flatMap((one) => (one === undefined ? [] : wantedTransports(one, transports)));
  const existing = wanted.filter((key) => transports.includes(key));
  for (const key of existing) queue.add(key);
  if (existing.length === 0) queue.add(CHILDREN);
  if (now === undefined && before !== undefined) writer.forget(before.kind, before.key);
}

async function serve(
  { http }: OperatorOptions,
  {
    view,
    writer,
    deps: { metrics },
  }: { readonly view: ClusterView; readonly writer: StatusWriter; readonly deps: OperatorDeps },
) {
  if (http === undefined) return undefined;
  return serveHttp(http.host, http.port, {
    ready: () => ({ ok: view.isSynced, reason: "the objects are not all listed yet" }),
    async metrics() {
      metrics.statusDepth.set(writer.depth);
      return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
    },
  });
}
