/**
 * Reconcile: one MailTransport from what is wanted to what is. Reading this file is reading the operator.
 *
 * gather (the view holds it) -> compile (pure) -> own the workload and its access -> publish chunks -> decide the rollout (pure)
 * -> write the head, the switch -> report. Twice equals once; a second operator writes nothing.
 *
 * @module
 */
import type { KeysRef } from "../crds/delivery-kinds.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import type { Secrets } from "../snapshot/mod.ts";
import { FINALIZER, type Home } from "./cluster.ts";
import { type Compilation, compileTransport, nameOf, secretNames } from "./compile.ts";
import { decideDrain } from "./drain.ts";
import { ownerReference } from "./labels.ts";
import { newerHead, readRevision, remember, restoreMemory, type TransportMemory } from "./memory.ts";
import { keysOf, type OperatorDeps, ownObjects } from "./own.ts";
import { publishChunks, publishKeys } from "./publish.ts";
import { decideRollout } from "./rollout.ts";
import { soundSecrets } from "./sound-secrets.ts";
import { collectGarbage } from "./sweep.ts";
import { reportTransport } from "./transport-report.ts";
import type { DrainDecision, HeldObject, RolloutDecision } from "./types.ts";

export interface Reconciler {
  /** key: namespace/name of a MailTransport; "": only children have changed. Rejects when it shall be tried again. */
  run(key: string): Promise<{ readonly againAfterMs?: number | undefined } | undefined>;
}

/** The view is rarely further behind than this. */
const LAG_MS = 100;

/** Nobody tells that a foreign object in the way is gone. */
const FAULT_MS = 10_000;

/** One transport in one reconciliation. */
interface Round {
  readonly key: string;
  readonly object: HeldObject;
  readonly home: Home;
  readonly memory: TransportMemory;
  readonly isDeleting: boolean;
}

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
      if (object !== undefined) return reconcile(await open(key, object, { memories, deps }), deps);
      memories.delete(key);
      deps.verdicts.delete(key);
      await deps.secrets.follow(key, new Set());
      deps.reportChildren();
      return undefined;
    },
  };
}

async function reconcile(round: Round, deps: OperatorDeps): Promise<{ againAfterMs?: number | undefined }> {
  const { key, memory, home, isDeleting } = round;
  if (!isDeleting) await keepFinalizer(round, deps);
  const { compiled, diagnostics, secrets } = await compile(round, deps);
  const sound = compiled && soundSecrets(secrets, compiled.snapshot, memory);
  const keys = sound && (await publishKeys(sound, memory, { ...deps, home }));
  const drain = decide(round, deps);
  const faults = await own(round, { compiled, drain, keys }, deps);
  const rollout = await rollOut(round, { compiled, drain, keys }, deps);
  await learn(round, compiled, rollout, deps);
  const isRefusedAnew = blame(round, compiled, rollout, deps);
  deps.verdicts.set(key, {
    compiled,
    served: memory.served,
    rollout: rollout.state,
    refusals: new Map([...memory.refused].map(([name, { message }]) => [name, message])),
  });
  await reportTransport({ ...round, compiled, diagnostics, rollout, drain, faults }, deps);
  deps.reportChildren();
  if (isDeleting && drain.finished && !(await letGo(round, deps))) return { againAfterMs: LAG_MS };
  await collectGarbage(round, deps);
  const laterMs = rollout.againAfterMs ?? (faults.length > 0 ? FAULT_MS : undefined);
  return { againAfterMs: isRefusedAnew ? 0 : laterMs };
}

/** A MailTransport of the same name that was deleted and made anew begins from nothing. */
async function open(
  key: string,
  object: HeldObject,
  { memories, deps }: { memories: Map<string, TransportMemory>; deps: OperatorDeps },
): Promise<Round> {
  const { metadata } = object;
  const uid = metadata.uid ?? "";
  const home = {
    namespace: metadata.namespace ?? "",
    transport: metadata.name,
    owner: ownerReference(metadata),
  };
  const head = deps.view.head(key);
  const seen = head?.metadata.ownerReferences?.some((owner) => owner.uid === uid) ? head : undefined;
  const known = memories.get(key);
  const memory = known?.uid === uid ? known : await restoreMemory(uid, seen, { ...deps, home });
  memory.head = newerHead(memory.head, seen);
  memories.set(key, memory);
  return { key, object, home, memory, isDeleting: metadata.deletionTimestamp !== undefined };
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
async function compile({ key, memory, isDeleting }: Round, deps: OperatorDeps): Promise<Compiled> {
  const { view, secrets, clock } = deps;
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
  const found = known && secrets.contents(known);
  const first = compileTransport(view, { ...request, secrets: found });
  if (first.compiled === undefined) return { ...first, secrets: new Map() };
  const names = secretNames(first.compiled.snapshot);
  if (known !== undefined && names.symmetricDifference(known).size === 0) {
    return { ...first, secrets: found ?? new Map() };
  }
  await secrets.follow(key, names);
  memory.secretNames = names;
  const contents = secrets.contents(names);
  return { ...compileTransport(view, { ...request, secrets: contents }), secrets: contents };
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
  readonly keys: KeysRef | undefined;
}

/** Before the head: pods must be able to read the keys that it names. */
async function own(
  { key, object, home, memory }: Round,
  { compiled, drain, keys }: Plan,
  deps: OperatorDeps,
): Promise<readonly string[]> {
  const { resource } = object;
  if (resource?.kind !== "MailTransport") return [];
  const inUse = new Set(keysOf(memory.head?.spec));
  if (keys !== undefined) inUse.add(keys.secret);
  return ownObjects(
    {
      key,
      transport: resource,
      snapshot: compiled?.snapshot ?? memory.lastGood,
      inForce: memory.lastGood,
      drain,
      keysSecrets: [...inUse].sort(),
      home,
      image: deps.image,
    },
    deps,
  );
}

/** Publishes what is compiled, decides, and writes the head. */
async function rollOut(
  { key, object, home, memory }: Round,
  { compiled, drain, keys }: Plan,
  deps: OperatorDeps,
): Promise<RolloutDecision> {
  const { view, cluster, clock, metrics, log } = deps;
  if (compiled !== undefined) {
    const bytes = await publishChunks(compiled.packed, memory, { ...deps, home, present: view.chunks(key) });
    metrics.chunkBytes.inc(bytes);
  }
  const { resource } = object;
  const decision = decideRollout({
    head: memory.head?.spec,
    target: compiled && { digest: compiled.packed.digest, keys },
    pods: view.pods(key).map((pod) => (drain.pods.get(pod.name) ? { ...pod, drain: true } : pod)),
    rollbackTo: resource?.kind === "MailTransport" ? resource.spec.rollbackTo : undefined,
    now: clock.now(),
  });
  if (decision.head === undefined || decision.head === memory.head?.spec) return decision;
  memory.head = await cluster.writeHead(decision.head, home);
  metrics.heads.inc();
  const { current, canary } = decision.head;
  log.info(
    { transport: key, revision: current.revision, canary: canary?.revision, pod: canary?.pod },
    "head written",
  );
  // What was read back is the same value from now on.
  return { ...decision, head: memory.head.spec };
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

/** Objects that a pod named when it refused: they fall back until they are edited. True when there is a new one. */
function blame(
  { memory }: Round,
  compiled: Compilation | undefined,
  { state }: RolloutDecision,
  { view, log }: OperatorDeps,
): boolean {
  if (state.phase !== "Refused" || state.refused.digest !== compiled?.packed.digest) return false;
  const { pod, message, objects } = state.refused;
  const before = memory.refused.size;
  for (const name of objects) {
    const held = findObject(name, view);
    if (held?.resource === undefined || held.metadata.generation === undefined) continue;
    memory.refused.set(name, { generation: held.metadata.generation, message: `${pod}: ${message}` });
    log.warn({ object: name, pod, cause: message }, "object refused by a pod, its last good form stays");
  }
  return memory.refused.size > before;
}

/** kind/namespace/name -> generation of what is still refused. An edit is a new try. */
function forgetMended(memory: TransportMemory, { view }: OperatorDeps): Map<string, number> {
  for (const [name, { generation }] of memory.refused) {
    if (findObject(name, view)?.metadata.generation !== generation) memory.refused.delete(name);
  }
  return new Map([...memory.refused].map(([name, { generation }]) => [name, generation]));
}

function findObject(name: string, view: OperatorDeps["view"]): HeldObject | undefined {
  const [kind = "", ...key] = name.split("/");
  const held = view.object(kind as HeldObject["kind"], key.join("/"));
  return held !== undefined && nameOf(held) === name ? held : undefined;
}
