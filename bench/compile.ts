/**
 * Cost of a snapshot from objects to pods: 10,000 rules, 100,000 domains in 100 objects, 20 connectors.
 *
 * `node bench/compile.ts` prints a table: from nothing, then after one object has changed. Milliseconds, median and 99th
 * percentile: compile and pack, encode the chunks that are new (both the operator), decode and unpack them (each pod).
 *
 * @module
 */
import { type AnyResource, parseManifests } from "../crds/mod.ts";
import {
  CompileMemory,
  type CompileResult,
  compileSnapshot,
  decodeChunk,
  encodeChunk,
  type PackedSnapshot,
  UnpackMemory,
  unpackSnapshot,
} from "../snapshot/mod.ts";

const RULES = 10_000;
const DOMAIN_OBJECTS = 100;
const DOMAINS_EACH = 1_000;
const CONNECTORS = 10;
const ROUNDS = 100;

type Spec = Record<string, unknown>;
type Edit = (objects: AnyResource[], round: number) => void;

const EDITS: readonly (readonly [string, Edit])[] = [
  ["nothing changed", () => {}],
  ["a rule changed", (objects, round) => replace(objects, ruleAt(round * 97, { comments: `Edit ${round}` }))],
  ["a rule moved", (objects, round) => replace(objects, ruleAt(round * 97, { priority: round % 7 }))],
  ["a rule added", (objects, round) => objects.push(ruleAt(RULES + round))],
  [
    "a rule removed",
    (objects, round) =>
      objects.splice(
        objects.findIndex(({ metadata }) => metadata.name === `rule${round * 89 + 1}`),
        1,
      ),
  ],
  [
    "a send connector changed",
    (objects, round) => replace(objects, copy("SendConnector", "out0", { maxConnections: 30 + round })),
  ],
  ["1,000 domains changed", (objects, round) => replace(objects, domainsAt(round % DOMAIN_OBJECTS, round))],
];

const TEMPLATES = readTemplates();

function readTemplates(): AnyResource[] {
  const documents = [
    "kind: MailTransport\nmetadata: {name: hub}\nspec: {hostname: mx.contoso.example}\n",
    "kind: AcceptedDomain\nmetadata: {name: domains}\nspec: {domains: [a.example]}\n",
    `kind: TransportRule
metadata: {name: rule}
spec:
  conditions: {senderDomainIs: [a.example], subjectOrBodyContainsWords: [alpha, beta], sentToScope: NotInOrganization}
  exceptions: {from: [ann@contoso.example]}
  actions: {rejectMessage: {enhancedStatusCode: 5.7.1, reasonText: Refused by the policy of Contoso}}
`,
  ];
  for (let at = 0; at < CONNECTORS; at++) {
    documents.push(
      `kind: ReceiveConnector\nmetadata: {name: in${at}}\nspec: {bindings: [{port: ${2500 + at}}]}\n`,
      `kind: SendConnector\nmetadata: {name: out${at}}\nspec: {addressSpaces: [{domain: "*.c${at}.example"}], routing: {type: MX}}\n`,
    );
  }
  const text = documents.map((document) => `apiVersion: postroom.dev/v1alpha1\n${document}`).join("---\n");
  const { resources, faults } = parseManifests([{ path: "bench.yaml", text }]);
  if (faults.length > 0) throw new Error(JSON.stringify(faults[0]));
  return resources.map(({ resource }) => resource);
}

/** An object as the schema would give it: the template's with another name and other fields. */
function copy(kind: AnyResource["kind"], name: string, spec: Spec, template = name): AnyResource {
  const found = TEMPLATES.find((one) => one.kind === kind && one.metadata.name === template);
  if (found === undefined) throw new Error(`no template of ${kind}`);
  return {
    ...found,
    metadata: { ...found.metadata, name, creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { ...found.spec, ...spec },
  } as AnyResource;
}

function ruleAt(at: number, more: Spec = {}): AnyResource {
  const conditions = {
    senderDomainIs: [`sender${at}.example`],
    subjectOrBodyContainsWords: [`secret${at}`, `code name ${at}`],
    sentToScope: "NotInOrganization",
  };
  return copy("TransportRule", `rule${at}`, { conditions, priority: at % 1_000, ...more }, "rule");
}

function domainsAt(at: number, edit = 0): AnyResource {
  const name = (index: number) =>
    `d${at * DOMAINS_EACH + index}${index < edit ? "-e" : ""}.c${at % CONNECTORS}.example`;
  return copy(
    "AcceptedDomain",
    `domains${at}`,
    { domains: Array.from({ length: DOMAINS_EACH }, (_, index) => name(index)) },
    "domains",
  );
}

function replace(objects: AnyResource[], object: AnyResource): void {
  objects[
    objects.findIndex(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name)
  ] = object;
}

interface Cost {
  readonly compileMs: number;
  readonly encodeMs: number;
  readonly unpackMs: number;
  readonly chunks: number;
  readonly octets: number;
}

/** An operator and a pod, each with its memory. */
class Path {
  readonly #compile = new CompileMemory();
  readonly #unpack = new UnpackMemory();
  #written = new Set<string>();
  #last: CompileResult | undefined;

  run(resources: readonly AnyResource[]): Cost {
    const previous = this.#last?.snapshot;
    const start = performance.now();
    this.#last = compileSnapshot({ resources, previous, memory: this.#compile });
    const { packed, diagnostics } = this.#last;
    if (packed === undefined || diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics[0]));
    const compiled = performance.now();
    const fresh = [...packed.chunks]
      .filter(([digest]) => !this.#written.has(digest))
      .map(([, text]) => encodeChunk(text));
    const encoded = performance.now();
    this.#written = new Set(packed.chunks.keys());
    const unpacked = this.#receive(packed.digest, fresh);
    if (unpacked.digest !== packed.digest) throw new Error("another snapshot");
    return {
      compileMs: compiled - start,
      encodeMs: encoded - compiled,
      unpackMs: performance.now() - encoded,
      chunks: fresh.length,
      octets: fresh.reduce((sum, { data }) => sum + data.length, 0),
    };
  }

  #receive(digest: PackedSnapshot["digest"], specs: readonly ReturnType<typeof encodeChunk>[]) {
    const chunks = new Map<string, string>();
    for (const spec of specs) {
      const text = decodeChunk(spec);
      if (text.ok) chunks.set(spec.digest, text.value);
    }
    // The index of an unchanged snapshot is not new; a pod does not look at it then.
    if (!chunks.has(digest)) return { digest };
    const unpacked = unpackSnapshot({ digest, chunks }, this.#unpack);
    if (!unpacked.ok) throw new Error(unpacked.diagnostics[0]?.message);
    return unpacked.value;
  }
}

function percentile(values: readonly number[], share: number): number {
  return (
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
  );
}

function print(name: string, costs: readonly Cost[]): void {
  const times = (pick: (cost: Cost) => number) => {
    const values = costs.map(pick);
    return `${percentile(values, 0.5).toFixed(1)} / ${percentile(values, 0.99).toFixed(1)}`.padStart(16);
  };
  const middle = (pick: (cost: Cost) => number) => percentile(costs.map(pick), 0.5).toFixed(0).padStart(9);
  const cells = [
    times(({ compileMs }) => compileMs),
    times(({ encodeMs }) => encodeMs),
    times(({ unpackMs }) => unpackMs),
    middle(({ chunks }) => chunks),
    middle(({ octets }) => octets),
  ];
  console.log(name.padEnd(26) + cells.join(" "));
}

console.log(
  `${" ".repeat(26)}${["compile + pack", "encode", "decode + unpack"].map((head) => head.padStart(16)).join(" ")}    chunks    octets   (ms: p50 / p99)`,
);
const objects = [
  ...TEMPLATES.filter(({ kind }) => kind !== "AcceptedDomain" && kind !== "TransportRule"),
  ...Array.from({ length: RULES }, (_, at) => ruleAt(at)),
  ...Array.from({ length: DOMAIN_OBJECTS }, (_, at) => domainsAt(at)),
];
print("from nothing, first time", [new Path().run(objects)]);
print(
  "from nothing",
  Array.from({ length: 5 }, () => new Path().run(objects)),
);
const path = new Path();
path.run(objects);
for (const [name, edit] of EDITS) {
  const costs: Cost[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    edit(objects, round);
    costs.push(path.run(objects));
  }
  print(name, costs);
}
