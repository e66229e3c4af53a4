/**
 * Children: the status of every connector, domain and rule, from the verdicts of the transports they attach to.
 *
 * An object whose facts are what they were last time costs one comparison; one changed rule is one write. While nothing
 * that they are judged by has changed, they are not looked at: pods speak often.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { REASON } from "../crds/conditions.ts";
import type { AnyResource } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { canonicalJson, sameItems } from "../snapshot/mod.ts";
import { type Compilation, nameOf, readingOf } from "./compile.ts";
import { childStatus } from "./status.ts";
import type { ChildFacts, HeldObject, ProgrammedFacts, ResourceStatus, RolloutState } from "./types.ts";
import { type ClusterView, OUR_KINDS } from "./view.ts";

/** What one transport says of its children. */
export interface Verdict {
  readonly compiled: Pick<Compilation, "diagnostics" | "entries" | "generations"> | undefined;
  /** Entries that every ready pod served last. */
  readonly served: ReadonlyMap<string, unknown>;
  readonly rollout: RolloutState;
  /** Why a pod refused an object: kind/namespace/name -> its words. */
  readonly refusals: ReadonlyMap<string, string>;
}

export interface ChildReport {
  /** Writes what changed since the last report, some at a time: a rollout must not wait for ten thousand. `now`: RFC 3339. */
  run(now: string): Promise<void>;
}

export interface ChildReportDeps {
  readonly view: ClusterView;
  /** By namespace/name of the MailTransport. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  put(object: HeldObject, status: ResourceStatus): void;
}

const AT_ONCE = 500;
const CHILD_KINDS = OUR_KINDS.filter((kind) => kind !== "MailTransport");

/** How an object was judged last, and by what. */
interface Judged {
  readonly name: string;
  readonly transports: readonly string[];
  readonly wanted: readonly string[];
  readonly basis: readonly unknown[];
  /** undefined: it was too early to judge. */
  readonly signature: string | undefined;
}

export function createChildReport({ view, verdicts, put }: ChildReportDeps): ChildReport {
  /** By uid. */
  let seen = new Map<string, Judged>();
  let before: readonly unknown[] = [];

  const judge = (object: HeldObject, last: Judged | undefined, around: Surroundings): Judged => {
    const name = last?.name ?? nameOf(object);
    const { transports } = around;
    const isSame = last?.basis[0] === readingOf(object) && sameItems(last.transports, transports);
    const wanted = isSame ? last.wanted : wantedTransports(object, transports);
    const basis = basisOf(object, name, { wanted, verdicts });
    if (last !== undefined && isSame && sameItems(last.basis, basis)) return last;
    const facts = factsOf(object, around);
    const early = isTooEarly(facts, verdicts);
    const signature = early ? last?.signature : signatureOf(facts);
    if (!early && last?.signature !== signature) put(object, childStatus(facts));
    return { name, transports, wanted, basis, signature };
  };

  return {
    async run(now) {
      const next = new Map<string, Judged>();
      const transports = [...view.objects("MailTransport")].map(({ key }) => key);
      const objects = CHILD_KINDS.flatMap((kind) => [...view.objects(kind)]);
      const depends = [...transports, ...verdictsBasis(verdicts), ...objects.map(readingOf)];
      if (sameItems(before, depends)) return;
      before = depends;
      for (const [at, object] of objects.entries()) {
        if (at % AT_ONCE === AT_ONCE - 1) await setImmediate();
        const { uid = "" } = object.metadata;
        next.set(uid, judge(object, seen.get(uid), { transports, verdicts, now }));
      }
      seen = next;
    },
  };
}

/** All that this object is judged by, to be compared by identity: of ten thousand, nearly all are as they were. */
function basisOf(
  object: HeldObject,
  name: string,
  { wanted, verdicts }: { readonly wanted: readonly string[]; readonly verdicts: Surroundings["verdicts"] },
): readonly unknown[] {
  const basis: unknown[] = [readingOf(object), object.metadata.generation];
  for (const transport of wanted) {
    const verdict = verdicts.get(transport);
    const entry = verdict?.compiled?.entries.get(name);
    const isServed = entry !== undefined && entry === verdict?.served.get(name);
    const generation = verdict?.compiled?.generations.get(object.metadata.uid ?? "");
    basis.push(entry, generation, verdict?.compiled?.diagnostics.get(name), verdict?.refusals.get(name));
    // What is served already is served in every phase but without pods.
    basis.push(isServed ? verdict.rollout.phase === "NoPods" : verdict && phaseText(verdict));
  }
  return basis;
}

/** All that children see of the verdicts. */
function verdictsBasis(verdicts: ReadonlyMap<string, Verdict>): readonly unknown[] {
  return [...verdicts].flatMap(([name, verdict]) => {
    const { compiled, served, refusals } = verdict;
    return [name, compiled, served, phaseText(verdict), ...[...refusals].flat()];
  });
}

/** Pods that come round one by one change nothing for children. */
function phaseText({ rollout }: Verdict): string {
  if (rollout.phase === "Canary") return "Waiting";
  return rollout.phase === "Refused"
    ? `Refused ${rollout.refused.pod} ${rollout.refused.message}`
    : rollout.phase;
}

/**
 * A verdict on an earlier form says nothing of this one: what stands there, of an earlier generation, stays until the next.
 * And a new leader knows nothing before it has reconciled: what its predecessor said stays until then.
 */
function isTooEarly({ object, transports }: ChildFacts, verdicts: ReadonlyMap<string, Verdict>): boolean {
  const { uid = "", generation } = object.metadata;
  return transports.some(({ name }) => {
    const verdict = verdicts.get(name);
    if (verdict === undefined) return object.status?.conditions !== undefined;
    return verdict.compiled !== undefined && verdict.compiled.generations.get(uid) !== generation;
  });
}

interface Surroundings {
  readonly transports: readonly string[];
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly now: string;
}

function factsOf(object: HeldObject, { transports, verdicts, now }: Surroundings): ChildFacts {
  const name = nameOf(object);
  const wanted = wantedTransports(object, transports);
  const existing = wanted.filter((one) => transports.includes(one));
  return {
    object,
    now,
    transports: existing.map((transport) => {
      const verdict = verdicts.get(transport);
      return {
        name: transport,
        diagnostics: diagnosticsOf(name, verdict),
        programmed: programmed(object, verdict),
      };
    }),
    diagnostics: wanted
      .filter((one) => !transports.includes(one))
      .map((one) => notFound(object, one))
      .concat(wanted.length === 0 ? [orphan(object)] : []),
  };
}

/** namespace/name of those it names, or else of those in its namespace. What cannot be read is taken for the latter. */
export function wantedTransports(
  object: Pick<HeldObject, "metadata" | "resource">,
  transports: readonly string[],
) {
  const { namespace = "" } = object.metadata;
  const refs = refsOf(object.resource);
  if (refs !== undefined) return [...new Set(refs.map((ref) => targetOf(ref, namespace)))].sort();
  return transports.filter((name) => name.startsWith(`${namespace}/`)).sort();
}

function refsOf(resource: AnyResource | undefined) {
  return resource === undefined || resource.kind === "MailTransport"
    ? undefined
    : resource.spec.transportRefs;
}

function targetOf(
  ref: { readonly name: string; readonly namespace?: string | undefined },
  namespace: string,
) {
  return `${ref.namespace ?? namespace}/${ref.name}`;
}

/** What a transport's compilation says; whether there is a transport at all is said once, here. */
function diagnosticsOf(name: string, verdict: Verdict | undefined): readonly Diagnostic[] {
  const said = verdict?.compiled?.diagnostics
    .get(name)
    ?.filter(({ reason }) => reason !== REASON.transportNotFound);
  const refusal = verdict?.refusals.get(name);
  if (refusal === undefined) return said ?? [];
  return [
    { object: name, path: "", reason: REASON.nacked, message: refusedText(refusal), severity: "error" },
    ...(said ?? []),
  ];
}

function refusedText(refusal: string): string {
  return `A pod refused it: ${refusal}`;
}

function programmed(object: HeldObject, verdict: Verdict | undefined): ProgrammedFacts {
  const { resource } = object;
  if (resource?.kind !== "MailTransport" && resource?.spec.enabled === false) {
    return { status: "False", reason: REASON.disabled, message: "spec.enabled is false" };
  }
  if (verdict?.compiled === undefined) {
    return { status: "Unknown", reason: REASON.pending, message: "The transport was not compiled yet" };
  }
  const name = nameOf(object);
  const refusal = verdict.refusals.get(name);
  if (refusal !== undefined) {
    return { status: "False", reason: REASON.nacked, message: refusedText(refusal) };
  }
  const entry = verdict.compiled.entries.get(name);
  if (entry === undefined) {
    return { status: "False", reason: REASON.invalid, message: "It is not part of the snapshot" };
  }
  return servedYet(entry, verdict.served.get(name), verdict.rollout);
}

function servedYet(entry: unknown, served: unknown, rollout: RolloutState): ProgrammedFacts {
  if (rollout.phase === "NoPods") {
    return { status: "False", reason: REASON.noPods, message: "The transport has no ready pod" };
  }
  if (rollout.phase === "Done" || entry === served) return { status: "True" };
  // After a restart of the operator equal entries are not the same value.
  if (served !== undefined && canonicalJson(served) === canonicalJson(entry)) return { status: "True" };
  if (rollout.phase === "Refused") {
    const { pod, message } = rollout.refused;
    return {
      status: "False",
      reason: REASON.nacked,
      message: `${pod} refused the snapshot it is part of: ${message}`,
    };
  }
  if (rollout.phase === "Pinned") {
    const message = "spec.rollbackTo of the transport holds an earlier revision in force";
    return { status: "False", reason: REASON.pinned, message };
  }
  return { status: "Unknown", reason: REASON.awaitingAck, message: "Not every ready pod serves it yet" };
}

function notFound(object: HeldObject, transport: string): Diagnostic {
  const { namespace = "" } = object.metadata;
  const index = refsOf(object.resource)?.findIndex((ref) => targetOf(ref, namespace) === transport);
  const message = `there is no MailTransport ${transport}`;
  const path = `spec.transportRefs[${index}]`;
  return { object: nameOf(object), path, reason: REASON.transportNotFound, message, severity: "error" };
}

function orphan(object: HeldObject): Diagnostic {
  const message = `attaches to nothing: there is no MailTransport in namespace ${object.metadata.namespace}`;
  const path = "metadata.namespace";
  return { object: nameOf(object), path, reason: REASON.transportNotFound, message, severity: "error" };
}

/** Everything that childStatus() looks at, but for time and the status as it stands. */
function signatureOf({ object, transports, diagnostics }: ChildFacts): string {
  let text = `${object.metadata.generation}`;
  for (const { name, programmed: facts, diagnostics: said } of transports) {
    text += `|${name} ${facts.status}`;
    if (facts.status !== "True") text += `${facts.reason} ${facts.message}`;
    if (said.length > 0) text += JSON.stringify(said);
  }
  if (diagnostics.length > 0) text += JSON.stringify(diagnostics);
  if (object.faults.length > 0) text += JSON.stringify(object.faults);
  return text;
}
