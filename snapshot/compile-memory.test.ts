import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AnyResource } from "../crds/mod.ts";
import { objects } from "../test/helpers/resources.ts";
import { compileSnapshot } from "./compile.ts";
import { CompileMemory } from "./compile-memory.ts";
import { entriesByObject } from "./entries.ts";
import { unpackSnapshot } from "./unpack.ts";

const OLD = "2026-01-01T00:00:00Z";
const NEW = "2026-02-01T00:00:00Z";

/** Lines of objects that want the same things; one of each name stands at a time. */
const FORMS: readonly (readonly string[])[] = [
  ["mx.a.example", "mx.b.example"].flatMap((hostname) =>
    ["Same", "All"].map(
      (from) => `MailTransport hub {hostname: ${hostname}, allowedNamespaces: {from: ${from}}}`,
    ),
  ),
  ...["a", "b", "c"].map((name) =>
    ["10.0.0.0/24", "10.0.0.0/24, 10.1.0.0/24", "10.2.0.0/24"].flatMap((ranges) =>
      [OLD, NEW].map(
        (time) => `ReceiveConnector ${name}!${time} {bindings: [{port: 25}], remoteIPRanges: [${ranges}]}`,
      ),
    ),
  ),
  ...["s", "t"].map((name) =>
    ["'*'", "a.example", "'*.example'"].map(
      (space) =>
        `SendConnector ${name} {addressSpaces: [{domain: ${space}}], routing: {type: MX}, fqdn: s.example}`,
    ),
  ),
  ...["d", "e", "f"].map((name) =>
    ["[a.example, '*.b.example']", "[a.example]", "[c.example, a.example]"].flatMap((domains) =>
      [OLD, NEW].flatMap((time) =>
        ["", ", recipients: {addresses: [ann@a.example, bob@x.example]}"].map(
          (more) => `AcceptedDomain ${name}!${time} {domains: ${domains}${more}}`,
        ),
      ),
    ),
  ),
  ...["p", "q", "r", "u"].map((name) =>
    [
      "deleteMessage: true",
      "routeMessageOutboundConnector: s",
      "routeMessageOutboundConnector: default/t",
    ].flatMap((action) =>
      [0, 1].map(
        (priority) =>
          `TransportRule ${name} {priority: ${priority}, conditions: {receiveConnectorIs: [a, b]}, actions: {${action}}}`,
      ),
    ),
  ),
  [0, 1].map(
    (priority) =>
      `TransportRule foreign@sales!${NEW} {transportRefs: [{name: hub, namespace: default}], priority: ${priority}, actions: {deleteMessage: true}}`,
  ),
];
const RESOURCES = FORMS.map((forms) => forms.flatMap((form) => objects(form)));

/** One edit: the object of a place takes a form, breaks or goes. */
const edit = fc.record({
  place: fc.nat({ max: FORMS.length - 1 }),
  form: fc.nat({ max: 20 }),
  becomes: fc.constantFrom("changed", "changed", "changed", "broken", "gone"),
});
const rounds = fc.array(
  fc.record({ edits: fc.array(edit, { minLength: 1, maxLength: 3 }), seed: fc.nat() }),
  {
    minLength: 1,
    maxLength: 8,
  },
);

type State = { readonly resource: AnyResource; readonly broken: boolean } | undefined;

function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  return items
    .map((item, at) => ({ item, key: Math.imul((seed ^ at) + 1, 0x9e3779b1) >>> 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

test("with memory and without, in any order, a sequence of edits gives the same", () => {
  fc.assert(
    fc.property(rounds, (sequence) => {
      const memory = new CompileMemory();
      const states: State[] = RESOURCES.map(([resource]) => ({ resource: resource!, broken: false }));
      let previous: ReturnType<typeof compileSnapshot>["snapshot"];
      for (const { edits, seed } of sequence) {
        for (const { place, form, becomes } of edits) {
          const forms = RESOURCES[place]!;
          const resource = forms[form % forms.length]!;
          states[place] = becomes === "gone" ? undefined : { resource, broken: becomes === "broken" };
        }
        const standing = states.filter((state) => state !== undefined);
        const resources = standing.filter(({ broken }) => !broken).map(({ resource }) => resource);
        const broken = standing
          .filter((state) => state.broken)
          .map(({ resource: { kind, metadata } }) => `${kind}/${metadata.namespace}/${metadata.name}`);
        const input = { broken, previous, transport: "default/hub" };
        const want = compileSnapshot({ ...input, resources });
        const got = compileSnapshot({ ...input, resources: shuffled(resources, seed), memory });
        expect(got).toEqual(want);
        previous = got.snapshot ?? previous;
      }
    }),
    { numRuns: 300 },
  );
});

describe("what did not change is the very same entry", () => {
  test("as in the snapshot that was read back after a restart", () => {
    const { packed } = compileSnapshot({ resources });
    const read = unpackSnapshot(packed!);
    const previous = read.ok ? read.value : undefined;
    const { snapshot } = compileSnapshot({ resources, previous, memory: new CompileMemory() });
    for (const [object, entry] of entriesByObject(snapshot!))
      expect(entriesByObject(previous!).get(object)).toBe(entry);
  });

  const lines = FORMS.map((forms) => forms[0] ?? "");
  const resources = objects(...lines);
  const place = (start: string) => lines.findIndex((line) => line.startsWith(start));

  function changedBy(change: (all: AnyResource[]) => AnyResource[]): string[] {
    const memory = new CompileMemory();
    const before = compileSnapshot({ resources, memory }).snapshot!;
    const after = compileSnapshot({ resources: change([...resources]), previous: before, memory }).snapshot!;
    const earlier = entriesByObject(before);
    return [...entriesByObject(after)]
      .filter(([object, entry]) => earlier.get(object) !== entry)
      .map(([object]) => object);
  }

  test.each([
    { name: "when nothing did", line: lines[place("TransportRule q")]!, want: [] },
    {
      name: "but for the rule that did",
      line: "TransportRule q {priority: 9, actions: {deleteMessage: true}}",
      want: ["TransportRule/default/q"],
    },
    {
      name: "but for the connector that did; rules that name it stay",
      line: `ReceiveConnector c!${OLD} {bindings: [{port: 25}], remoteIPRanges: [10.9.0.0/24]}`,
      want: ["ReceiveConnector/default/c"],
    },
    {
      name: "but for those that have their name from the transport",
      line: "MailTransport hub {hostname: mx.c.example}",
      want: ["MailTransport/default/hub", "ReceiveConnector/default/a"],
    },
  ])("$name", ({ line, want }) => {
    const [replacement] = objects(line);
    const key = ({ kind, metadata }: AnyResource) => `${kind}/${metadata.name}`;
    const change = (all: AnyResource[]) =>
      all.map((one) => (key(one) === key(replacement!) ? replacement! : one));
    expect(changedBy(change)).toEqual(want);
  });
});
