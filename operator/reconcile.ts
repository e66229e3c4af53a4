/**
 * Reconcile: one MailTransport from what is wanted to what is. Reading this file is reading the operator.
 *
 * gather (the view holds it) -> compile (pure) -> publish keys and chunks -> own the workload and its access -> decide the
 * rollout (pure) -> write the head, the switch -> report. Twice equals once; a second operator writes nothing. A write that is
 * refused is told in the status, and the others go on.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Secrets } from "../snapshot/mod.ts";
import { blame, forgetMended } from "./blame.ts";
import { FINALIZER } from "./cluster.ts";
import { type Compilation, compileTransport, secretNames } from "./compile.ts";
import { decideDrain } from "./drain.ts";
import type { HeldHead } from "./held.ts";
import { contentsOf, follow, followKeys } from "./known-secrets.ts";
import { readRevision, remember, type TransportMemory } from "./memory.ts";
import { keysOf, type OperatorDeps, ownObjects } from "./own.ts";
import { publishChunks, publishKeys } from "./publish.ts";
import { decideRollout } from "./rollout.ts";
import { openRound, type Round } from "./round.ts";
import { soundSecrets } from "./sound-secrets.ts";
import { collectGarbage } from "./sweep.ts";
import { reportTransport } from "./transport-report.ts";
import type { DrainDecision, RolloutDecision, Target } from "./types.ts";

export interface Reconciler {
  /** key: namespace/name of a MailTransport; "": only children have changed. Rejects when it shall be tried again. */
  run(key: string): Promise<{ readonly againAfterMs?: number | undefined } | undefined>;
}

/** The view is rarely further behind than this. */
const LAG_MS = 100;

/** Nobody tells that a foreign object in the way is gone. */
const FAULT_MS = 10_000;
/** Certificates expire, garbage ages. */
const RESYNC_MS = 600_000;

interface Compiled {
  readonly compiled: Compilation | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly secrets: Secrets;
}

export function createReconciler(deps: OperatorDeps): Reconciler {
  const memories = new Map<string, TransportMemory>();
  return {
    async run(key) {
      const object = deps.view.object("MailTransport", key);
      if (object !== undefined) return reconcile(await openRound(key, object, { memories, deps }), deps);
      memories.delete(key);
      deps.verdicts.delete(key);
      deps.metrics.forget(key);
      await deps.secrets.follow(key, new Set());
      deps.reportChildren();
      return undefined;
    },
  };
}

async function reconcile(round: Round, deps: OperatorDeps): Promise<{ againAfterMs?: number | undefined }> {
  const { key, memory, isDeleting } = round;
  const { attempts } = round;
  if (!isDeleting) await keepFinalizer(round, deps);
  const { compiled, diagnostics, secrets } = await compile(round, deps);
  const target = compiled && (await attempts.of(publish(round, { compiled, secrets }, deps)));
  const drain = decide(round, deps);
  const unmet = await own(round, { compiled, drain, target }, deps);
  const rollout = await rollOut(round, { compiled, drain, target }, deps);
  await learn(round, compiled, rollout, deps);
  const isRefusedAnew = blame(memory, compiled, rollout, deps);
  deps.verdicts.set(key, {
    compiled,
    served: memory.served,
    rollout: rollout.state,
    refusals: new Map([...memory.refused].map(([name, { message }]) => [name, message])),
  });
  deps.reportChildren();
  const faults = [...unmet, ...attempts.faults, ...lasting(round)];
  reportTransport({ ...round, compiled, diagnostics, rollout, drain, faults }, deps);
  if (isDeleting && drain.finished && !(await letGo(round, deps))) return { againAfterMs: LAG_MS };
  if (!isDeleting) await followKeys(round, deps);
  await collectGarbage({ ...round, target: compiled?.packed.digest }, deps);
  const [failure] = attempts.failures;
  if (failure !== undefined) throw failure;
  if (isRefusedAnew) return { againAfterMs: 0 };
  const laterMs = faults.length > 0 ? FAULT_MS : RESYNC_MS;
  return { againAfterMs: Math.min(rollout.againAfterMs ?? laterMs, laterMs) };
}

/** Failures that were there the last time too. */
function lasting({ memory, attempts }: Round): readonly string[] {
  const failing = attempts.failures.map(({ message }) => message);
  const known = memory.failing;
  memory.failing = new Set(failing);
  return failing.filter((message) => known.has(message));
}

/** The drain must come before the end: Kubernetes deletes nothing that has a finalizer. */
async function keepFinalizer({ object }: Round, { cluster }: OperatorDeps): Promise<void> {
  const { finalizers = [] } = object.metadata;
  if (finalizers.includes(FINALIZER)) return;
  await cluster.setFinalizers(object.metadata, [...finalizers, FINALIZER]);
}

/** False: the view lags behind, so it is to be tried again. */
async function letGo({ object, key }: Round, { cluster, log }: OperatorDeps): Promise<boolean> {
  const { finalizers = [] } = object.metadata;
  if (!finalizers.includes(FINALIZER)) return true;
  const others = finalizers.filter((one) => one !== FINALIZER);
  if (!(await cluster.setFinalizers(object.metadata, others))) return false;
  log.info({ transport: key }, "drained and let go");
  return true;
}

/**
 * Compiles; when objects name Secrets that nobody looked at yet, looks and compiles again.
 * A transport that is being deleted keeps its last snapshot: its connectors may be gone before its mail is.
 */
async function compile(round: Round, deps: OperatorDeps): Promise<Compiled> {
  const { key, memory, isDeleting } = round;
  const { view, clock } = deps;
  if (isDeleting) return { compiled: undefined, diagnostics: [], secrets: new Map() };
  const refused = forgetMended(memory, deps);
  const request = {
    transport: key,
    lastGood: memory.lastGood,
    refused,
    now: clock.now(),
    memory: memory.compile,
    last: memory.compiled,
  };
  const known = memory.secretNames;
  const found = known && contentsOf(known, memory, deps);
  const first = compileTransport(view, { ...request, secrets: found });
  if (first.compiled === undefined) return { ...first, secrets: new Map() };
  const names = secretNames(first.compiled.snapshot);
  if (known !== undefined && names.symmetricDifference(known).size === 0) {
    return { ...first, secrets: found ?? new Map() };
  }
  memory.secretNames = names;
  await follow(round, deps);
  const contents = contentsOf(names, memory, deps);
  return { ...compileTransport(view, { ...request, secrets: contents }), secrets: contents };
}

/** Writes what a head may name before it names it. */
async function publish(
  { key, home, memory }: Round,
  { compiled, secrets }: { readonly compiled: Compilation; readonly secrets: Secrets },
  deps: OperatorDeps,
): Promise<Target> {
  const sound = soundSecrets(secrets, compiled.snapshot, memory);
  const keys = await publishKeys(sound, memory, { ...deps, home });
  const present = deps.view.chunks(key);
  deps.metrics.chunkBytes.inc(await publishChunks(compiled.packed, memory, { ...deps, home, present }));
  return { digest: compiled.packed.digest, keys };
}

function decide({ key, object, home, isDeleting }: Round, { view }: OperatorDeps): DrainDecision {
  const { resource } = object;
  const workload = view.owned("StatefulSet", key)?.spec as { replicas?: number } | undefined;
  const wanted = resource?.kind === "MailTransport" ? resource.spec.replicas : (workload?.replicas ?? 0);
  return decideDrain({
    deleting: isDeleting,
    wanted,
    present: workload?.replicas,
    pods: view.pods(key),
    transport: home.transport,
  });
}

interface Plan {
  readonly compiled: Compilation | undefined;
  readonly drain: DrainDecision;
  /** undefined: nothing was compiled, or it could not be written. */
  readonly target: Target | undefined;
}

/** Before the head: pods must be able to read the keys that it names. */
async function own(round: Round, plan: Plan, deps: OperatorDeps): Promise<readonly string[]> {
  const { key, object, home, memory, attempts } = round;
  const { compiled, drain, target } = plan;
  const { resource } = object;
  const inUse = new Set(keysOf(memory.head?.spec));
  if (target?.keys !== undefined) inUse.add(target.keys.secret);
  return ownObjects(
    {
      key,
      transport: resource?.kind === "MailTransport" ? resource : undefined,
      snapshot: compiled?.snapshot ?? memory.lastGood,
      inForce: memory.lastGood,
      drain,
      keysSecrets: [...inUse].sort(),
      home,
      image: deps.image,
    },
    { ...deps, attempts },
  );
}

/** Decides, and writes the head. */
async function rollOut(
  { key, object, home, memory, isDeleting, attempts }: Round,
  { compiled, drain, target }: Plan,
  deps: OperatorDeps,
): Promise<RolloutDecision> {
  const { view, cluster, clock, metrics, log } = deps;
  const { resource } = object;
  const before = memory.head;
  const decision = decideRollout({
    head: before?.spec,
    target,
    pods: view.pods(key).map((pod) => (drain.pods.get(pod.name) ? { ...pod, drain: true } : pod)),
    rollbackTo: resource?.kind === "MailTransport" ? resource.spec.rollbackTo : undefined,
    now: clock.now(),
  });
  const isUnpublished = compiled !== undefined && target === undefined && decision.state.phase !== "Pinned";
  const { head } = decision;
  const isLost = memory.isHeadSeen && view.head(key) === undefined && !isDeleting;
  if (head === undefined || (head === before?.spec && !isLost))
    return isUnpublished ? unwritten(before) : decision;
  const written = await attempts.of(cluster.writeHead(head, home, isLost ? undefined : before));
  if (written === undefined) return unwritten(before);
  memory.head = written;
  memory.isHeadSeen = false;
  metrics.heads.inc();
  const { current, canary } = head;
  log.info(
    { transport: key, revision: current.revision, canary: canary?.revision, pod: canary?.pod },
    "head written",
  );
  // What was read back is the same value from now on.
  return isUnpublished ? unwritten(written) : { ...decision, head: written.spec };
}

/** The head says what was in force before; what shall be in force is nowhere yet. */
function unwritten(head: HeldHead | undefined): RolloutDecision {
  const state = { phase: "Waiting", revision: head?.spec.current.revision ?? 0, pods: [] } as const;
  return { head: head?.spec, state };
}

/** What pods serve without complaint is what broken objects fall back to. */
async function learn(
  { home, memory }: Round,
  compiled: Compilation | undefined,
  { state, head }: RolloutDecision,
  deps: OperatorDeps,
): Promise<void> {
  if (state.phase === "Done" && compiled !== undefined) remember(memory, compiled.snapshot);
  const held = state.phase === "Pinned" ? head?.current.digest : undefined;
  if (held === undefined || memory.lastGood?.digest === held) return;
  const pinned = await readRevision(held, memory, { ...deps, home });
  if (pinned !== undefined) remember(memory, pinned);
}
