/**
 * Compiles the resources of one transport into its snapshot.
 *
 * In: typed resources, the previous snapshot, and what of the source is broken. Out: a snapshot and every diagnostic.
 * One bad object never blocks or empties the snapshot. Deterministic: the order of the resources does not matter.
 * Never throws, never logs. Reading this file top to bottom is reading the order of the steps.
 *
 * @module
 */
import { type AnyResource, objectName, qualifiedName, type TransportRule } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { type AttachedResource, attachResources, namespaceOf } from "./attach.ts";
import type { PackedSnapshot } from "./chunks.ts";
import type { CompileMemory } from "./compile-memory.ts";
import { type Candidate, settleDomains, settleRanges } from "./conflicts.ts";
import { compileReceiveConnector, compileSendConnector } from "./connectors.ts";
import { checkRecipients, checkRoutes, compileAcceptedDomain } from "./domains.ts";
import { dropped, fallBack, type Held, holdEntries, type LastGoodInput } from "./last-good.ts";
import { packSnapshot } from "./pack.ts";
import { byName, byRuleOrder, HELD, rank } from "./precedence.ts";
import { compileRule, type KnownConnectors } from "./rules.ts";
import type { RuleEntry, Secrets, Snapshot, TransportEntry } from "./schema.ts";
import { checkReceiveSecrets, checkSendSecrets } from "./secrets.ts";
import { selectTransport } from "./select-transport.ts";

export interface CompileInput {
  readonly resources: readonly AnyResource[];
  /** namespace/name of the MailTransport; undefined: the previous one, or the only one there is. */
  readonly transport?: string | undefined;
  /** What is in force now; its forms of broken objects stay. */
  readonly previous?: Snapshot | undefined;
  /** kind/namespace/name of objects that exist but have a fault (LoadedManifests.broken). */
  readonly broken?: readonly string[] | undefined;
  /** Some manifests could not be read: nothing that seems gone is dropped (LoadedManifests.incomplete). */
  readonly incomplete?: boolean | undefined;
  /** Secrets that exist; undefined: not known, not checked. */
  readonly secrets?: Secrets | undefined;
  /** Name -> labels of the namespaces that are known, for MailTransport.spec.allowedNamespaces. */
  readonly namespaces?: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined;
  /** ms since 1970; undefined: certificates are not checked for their dates. */
  readonly now?: number | undefined;
  /** Makes what did not change since the last compilation of this transport cost next to nothing; never changes a result. */
  readonly memory?: CompileMemory | undefined;
}

export interface CompileResult {
  /** undefined: there is no transport to compile for. */
  readonly snapshot: Snapshot | undefined;
  /** The same in chunks; undefined: there is none. */
  readonly packed: PackedSnapshot | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export function compileSnapshot(input: CompileInput): CompileResult {
  const lastGood = lastGoodInput(input);
  const selected = selectTransport(input.resources, input.transport, lastGood);
  const diagnostics: Diagnostic[] = [...selected.diagnostics];
  if (!selected.ok) return { snapshot: undefined, packed: undefined, diagnostics };
  const transport = selected.value;
  const { attached, ...attachment } = attachResources(input.resources, transport.name);
  const report = <Result extends { readonly diagnostics: readonly Diagnostic[] }>(result: Result): Result => {
    diagnostics.push(...result.diagnostics);
    return result;
  };
  report(attachment);
  const hold = holder(transport, lastGood);

  const receive = report(
    settleRanges([
      ...ofKind(attached, "ReceiveConnector").map((one) =>
        candidate(one, compileReceiveConnector(one, transport)),
      ),
      ...heldCandidates(report(hold("ReceiveConnector", (previous) => previous.receiveConnectors))),
    ]),
  ).entries;
  const send = [
    ...ofKind(attached, "SendConnector").map((one) => compileSendConnector(one, transport)),
    ...report(hold("SendConnector", (previous) => previous.sendConnectors)).entries,
  ].sort(byName);
  const domains = report(
    settleDomains([
      ...ofKind(attached, "AcceptedDomain").map((one) => candidate(one, compileAcceptedDomain(one))),
      ...heldCandidates(report(hold("AcceptedDomain", (previous) => previous.acceptedDomains))),
    ]),
  ).entries;
  diagnostics.push(...checkRecipients(domains), ...checkRoutes(domains, send));
  const known = {
    receive: new Set(receive.map(({ name }) => name)),
    send: new Set(send.map(({ name }) => name)),
  };
  const rules = orderRules([
    ...report(compileRules(ofKind(attached, "TransportRule"), known, previousOf(transport, lastGood)?.rules))
      .rules,
    ...heldCandidates(report(hold("TransportRule", (previous) => previous.rules))),
  ]);

  diagnostics.push(...droppedObjects(transport, lastGood));
  const { secrets } = input;
  if (secrets !== undefined) {
    diagnostics.push(...receive.flatMap((entry) => checkReceiveSecrets(entry, secrets)));
    diagnostics.push(...send.flatMap((entry) => checkSendSecrets(entry, secrets)));
  }
  const content = {
    transport,
    receiveConnectors: receive,
    sendConnectors: send,
    acceptedDomains: domains,
    rules,
  };
  const packed = packSnapshot(content, input.memory?.pack);
  const snapshot = { version: 1, digest: packed.digest, ...content } as const;
  return { snapshot, packed, diagnostics: diagnostics.sort(byObject) };
}

function lastGoodInput({ resources, previous, broken, incomplete }: CompileInput): LastGoodInput {
  return {
    previous,
    broken: new Set(broken),
    present: new Set(resources.map(objectName)),
    incomplete: incomplete ?? false,
  };
}

/** The previous snapshot, when it is this transport's. */
function previousOf({ name }: TransportEntry, { previous }: LastGoodInput): Snapshot | undefined {
  return previous?.transport.name === name ? previous : undefined;
}

type Hold = <Entry extends { readonly name: string }>(
  kind: string,
  pick: (previous: Snapshot) => readonly Entry[],
) => Held<Entry>;

function holder(transport: TransportEntry, lastGood: LastGoodInput): Hold {
  const previous = previousOf(transport, lastGood);
  return (kind, pick) => holdEntries(kind, previous === undefined ? [] : pick(previous), lastGood);
}

/** Broken objects of the transport's namespace that have no earlier form. Secrets are none of the snapshot's. */
function droppedObjects(transport: TransportEntry, lastGood: LastGoodInput): Diagnostic[] {
  const previous = previousOf(transport, lastGood);
  const held = new Set([
    `MailTransport/${transport.name}`,
    ...(previous?.receiveConnectors ?? []).map(({ name }) => `ReceiveConnector/${name}`),
    ...(previous?.sendConnectors ?? []).map(({ name }) => `SendConnector/${name}`),
    ...(previous?.acceptedDomains ?? []).map(({ name }) => `AcceptedDomain/${name}`),
    ...(previous?.rules ?? []).map(({ name }) => `TransportRule/${name}`),
  ]);
  const namespace = namespaceOf(transport.name);
  return [...lastGood.broken]
    .filter(
      (object) => object.split("/")[1] === namespace && !held.has(object) && !lastGood.present.has(object),
    )
    .filter((object) => !object.startsWith("Secret/"))
    .map(dropped);
}

/** A rule that cannot be compiled keeps its previous form: a rule that guards mail must not fail open. */
function compileRules(
  resources: readonly TransportRule[],
  known: KnownConnectors,
  previous: readonly RuleEntry[] | undefined,
): { rules: Candidate<RuleEntry>[]; diagnostics: Diagnostic[] } {
  const before = new Map((previous ?? []).map((entry) => [entry.name, entry]));
  const rules: Candidate<RuleEntry>[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const resource of resources) {
    const compiled = compileRule(resource, known);
    diagnostics.push(...compiled.diagnostics);
    const earlier = before.get(qualifiedName(resource));
    const entry = compiled.ok ? compiled.value : earlier;
    if (entry !== undefined) rules.push(candidate(resource, entry));
    if (compiled.ok) continue;
    diagnostics.push(earlier === undefined ? dropped(objectName(resource)) : fallBack(objectName(resource)));
  }
  return { rules, diagnostics };
}

function orderRules(candidates: readonly Candidate<RuleEntry>[]): RuleEntry[] {
  return candidates.map(({ entry }) => entry).sort(byRuleOrder);
}

function ofKind<Kind extends AttachedResource["kind"]>(
  resources: readonly AttachedResource[],
  kind: Kind,
): Extract<AttachedResource, { kind: Kind }>[] {
  return resources.filter(
    (resource): resource is Extract<AttachedResource, { kind: Kind }> => resource.kind === kind,
  );
}

function candidate<Entry>(resource: AnyResource, entry: Entry): Candidate<Entry> {
  return { entry, rank: rank(qualifiedName(resource), resource.metadata.creationTimestamp) };
}

function heldCandidates<Entry extends { readonly name: string }>({
  entries,
}: Held<Entry>): Candidate<Entry>[] {
  return entries.map((entry) => ({ entry, rank: { name: entry.name, createdAt: HELD } }));
}

function byObject(a: Diagnostic, b: Diagnostic): number {
  if (a.object !== b.object) return a.object < b.object ? -1 : 1;
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return 0;
}
