/**
 * Compiles the resources of one transport into its snapshot.
 *
 * In: typed resources, the previous snapshot, and what of the source is broken. Out: a snapshot and every diagnostic.
 * One bad object never blocks or empties the snapshot. Deterministic: the order of the resources does not matter,
 * nor does the memory. Never throws, never logs. Reading this file top to bottom is reading the order of the steps.
 *
 * @module
 */
import { type AnyResource, type MailTransport, objectName } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { type AttachedResource, attachResources } from "./attach.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { PackedSnapshot } from "./chunks.ts";
import {
  domainCandidates,
  heldCandidates,
  receiveCandidates,
  ruleEntries,
  sendEntries,
} from "./compile-entries.ts";
import { CompileMemory } from "./compile-memory.ts";
import { settleDomains, settleRanges } from "./conflicts.ts";
import { addressSpaces, checkRecipients, checkRoutes } from "./domains.ts";
import { entriesByObject } from "./entries.ts";
import { droppedObjects, type Held, holdEntries, type LastGoodInput, previousOf } from "./last-good.ts";
import { judgeNamespace, type NamespaceLabels, type NamespaceVerdict } from "./namespaces.ts";
import { packSnapshot } from "./pack.ts";
import { byName, byRuleOrder, inOrder } from "./precedence.ts";
import type {
  ReceiveConnectorEntry,
  Secrets,
  SendConnectorEntry,
  Snapshot,
  TransportEntry,
} from "./schema.ts";
import { checkReceiveSecrets, checkSendSecrets } from "./secrets.ts";
import { selectTransport } from "./select-transport.ts";
import { compileTransport } from "./transport.ts";

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
  readonly namespaces?: NamespaceLabels | undefined;
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
  const memory = input.memory ?? new CompileMemory();
  // After a restart what was in force is all that is remembered.
  memory.snapshot ??= input.previous;
  const lastGood = lastGoodInput(input);
  const compile = (resource: MailTransport) =>
    memory.transports.of(resource, [], () => memory.steady(objectName(resource), compileTransport(resource)));
  const selected = selectTransport(input.resources, { wanted: input.transport, compile }, lastGood);
  if (!selected.ok) return { snapshot: undefined, packed: undefined, diagnostics: selected.diagnostics };
  const { content, diagnostics } = compileContent(selected.value, lastGood, { ...input, memory });
  const packed = packSnapshot(content, memory.pack);
  const snapshot: Snapshot = { version: 1, digest: packed.digest, ...content };
  memory.snapshot = snapshot;
  return { snapshot, packed, diagnostics: [...selected.diagnostics, ...diagnostics].sort(byObject) };
}

type Input = CompileInput & { readonly memory: CompileMemory };

function compileContent(transport: TransportEntry, lastGood: LastGoodInput, input: Input) {
  const diagnostics: Diagnostic[] = [];
  const report = <Result extends { readonly diagnostics: readonly Diagnostic[] }>(result: Result): Result => {
    diagnostics.push(...result.diagnostics);
    return result;
  };
  const { memory } = input;
  const { name } = transport;
  const judge = judger(transport, input.namespaces);
  const previous = previousOf(name, lastGood.previous);
  const earlier = previous === undefined ? new Map() : entriesByObject(previous);
  const hold: Hold = (kind, entries = []) =>
    report(holdEntries(kind, entries, { ...lastGood, judge })).entries;
  const stays = (object: string) => lastGood.incomplete && earlier.has(object);
  const { attached } = report(attachResources(input.resources, { transport: name, judge, stays }));

  const receive = report(
    settleRanges(
      [
        ...receiveCandidates(ofKind(attached, "ReceiveConnector"), transport, memory),
        ...heldCandidates(hold("ReceiveConnector", previous?.receiveConnectors), memory),
      ],
      memory.ranges,
    ),
  ).entries;
  const send = inOrder(
    [
      ...sendEntries(ofKind(attached, "SendConnector"), transport, memory),
      ...hold("SendConnector", previous?.sendConnectors),
    ],
    memory.snapshot?.sendConnectors ?? [],
    byName,
  );
  const domains = report(
    settleDomains(
      [
        ...domainCandidates(ofKind(attached, "AcceptedDomain"), memory),
        ...heldCandidates(hold("AcceptedDomain", previous?.acceptedDomains), memory),
      ],
      memory.claims,
    ),
  ).entries;
  diagnostics.push(...memory.recipients.of([domains], () => checkRecipients(domains)));
  const spaces = memory.spaces.of([spacesKey(send)], () => addressSpaces(send));
  diagnostics.push(...checkRoutes(domains, spaces, memory.routes));
  const known = memory.connectors.of([receive, send], () => knownConnectors(receive, send));
  const rules = inOrder(
    [
      ...report(ruleEntries(ofKind(attached, "TransportRule"), known, { previous: earlier, memory })).entries,
      ...hold("TransportRule", previous?.rules),
    ],
    memory.snapshot?.rules ?? [],
    byRuleOrder,
  );

  diagnostics.push(...droppedObjects(name, lastGood));
  diagnostics.push(...checkSecrets(receive, send, input));
  const connectors = { receiveConnectors: receive, sendConnectors: send };
  return { content: { transport, ...connectors, acceptedDomains: domains, rules }, diagnostics };
}

type Hold = <Entry extends { readonly name: string }>(
  kind: string,
  previous: readonly Entry[] | undefined,
) => Held<Entry>["entries"];

function lastGoodInput({ resources, previous, broken, incomplete }: CompileInput): LastGoodInput {
  let present: ReadonlySet<string> | undefined;
  return {
    previous,
    broken: new Set(broken),
    present() {
      present ??= new Set(resources.map(objectName));
      return present;
    },
    incomplete: incomplete ?? false,
  };
}

/** Each namespace is judged once. */
function judger(transport: TransportEntry, namespaces: NamespaceLabels | undefined) {
  const verdicts = new Map<string, NamespaceVerdict>();
  return (namespace: string) => {
    const verdict = verdicts.get(namespace) ?? judgeNamespace(namespace, transport, namespaces);
    verdicts.set(namespace, verdict);
    return verdict;
  };
}

function spacesKey(send: readonly SendConnectorEntry[]): string {
  return canonicalJson(send.map((one) => [one.transportRuleScoped, one.addressSpaces]));
}

function knownConnectors(receive: readonly ReceiveConnectorEntry[], send: readonly SendConnectorEntry[]) {
  return { receive: new Set(receive.map(({ name }) => name)), send: new Set(send.map(({ name }) => name)) };
}

function checkSecrets(
  receive: readonly ReceiveConnectorEntry[],
  send: readonly SendConnectorEntry[],
  { secrets, now, memory: { certificates } }: Input,
): Diagnostic[] {
  if (secrets === undefined) return [];
  const checks = { secrets, certificates, now };
  const diagnostics = [
    ...receive.flatMap((entry) => checkReceiveSecrets(entry, checks)),
    ...send.flatMap((entry) => checkSendSecrets(entry, checks)),
  ];
  certificates.forget();
  return diagnostics;
}

function ofKind<Kind extends AttachedResource["kind"]>(
  resources: readonly AttachedResource[],
  kind: Kind,
): Extract<AttachedResource, { kind: Kind }>[] {
  return resources.filter(
    (resource): resource is Extract<AttachedResource, { kind: Kind }> => resource.kind === kind,
  );
}

/** In an order that depends on nothing but what is said. */
function byObject(a: Diagnostic, b: Diagnostic): number {
  for (const field of ["object", "path", "reason", "message"] as const) {
    if (a[field] !== b[field]) return a[field] < b[field] ? -1 : 1;
  }
  return 0;
}
