/** A pipeline made of the one before does what one made from nothing does; and the one before goes on as it was. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AcceptedDomainSpec } from "../crds/accepted-domain.ts";
import { systemClock } from "../lib/clock.ts";
import { parseAddress } from "../mail/address.ts";
import type { AcceptedDomainEntry, Snapshot } from "../snapshot/schema.ts";
import { sendConnector } from "../test/helpers/delivery.ts";
import { memoryLog } from "../test/helpers/queue-items.ts";
import { message, spec } from "../test/helpers/random-rules.ts";
import { receiveConnector, snapshotOf } from "../test/helpers/receive-connector.ts";
import { mail, rule } from "../test/helpers/rules.ts";
import { buildPipeline, type Pipeline } from "./pipeline.ts";
import type { PolicyInput } from "./policy/mod.ts";

const deps = {
  clock: systemClock,
  log: memoryLog(),
  resolver: { addresses: async () => [], texts: async () => [] },
  onAgent: () => undefined,
};

function build(snapshot: Snapshot, before?: Pipeline): Pipeline {
  return buildPipeline(snapshot, new Map(), deps, before);
}

let made = 0;
const ruleEntry = spec.map((one) => rule({ name: `r${++made}`, ...one }));

const addresses = ["a@contoso.example", "b@contoso.example", "c@x.example", "d@sub.x.example", "e@y.example"];
const some = (list: readonly string[]) => fc.uniqueArray(fc.constantFrom(...list), { maxLength: 3 });
const domainEntry: fc.Arbitrary<AcceptedDomainEntry> = fc
  .record({
    domains: fc.uniqueArray(fc.constantFrom("contoso.example", "x.example", "*.x.example", "y.example"), {
      minLength: 1,
      maxLength: 2,
    }),
    kind: fc.constantFrom(
      { type: "Authoritative", validation: "Reject" },
      { type: "Authoritative", validation: "None" },
      { type: "ExternalRelay", validation: "None" },
    ),
    known: some(addresses),
    aliased: some(addresses),
  })
  .map(({ known, aliased, kind: { type, validation }, domains }) => {
    const aliases = aliased.map((alias) => ({ alias, address: "z@contoso.example" }));
    const recipients = { validation, addresses: known, aliases };
    return { ...AcceptedDomainSpec.parse({ domains, type, recipients }), name: `default/d${++made}` };
  });
const connectorEntry = fc
  .record({ domain: fc.constantFrom("*", "x.example", "*.x.example"), cost: fc.nat(3) })
  .map((space) => sendConnector({ name: `default/s${++made}`, addressSpaces: [space] }));

/** Takes out, puts in, replaces or moves one entry of a list. */
function editOf<Entry>(
  entry: fc.Arbitrary<Entry>,
): fc.Arbitrary<(list: readonly Entry[]) => readonly Entry[]> {
  return fc.record({ at: fc.nat(), to: fc.nat(), out: fc.boolean(), put: fc.option(entry) }).map((edit) => {
    const { at, to, out, put } = edit;
    return (list) => {
      const [taken] = out ? list.slice(at % (list.length + 1)) : [];
      const rest = list.filter((one) => one !== taken);
      const moved = put ?? (to % 2 === 0 ? taken : undefined);
      return moved === undefined ? rest : rest.toSpliced(to % (rest.length + 1), 0, moved);
    };
  });
}

type Change = (snapshot: Snapshot) => Snapshot;
const edit: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: editOf(ruleEntry).map(
      (by): Change =>
        (all) => ({ ...all, rules: by(all.rules) }),
    ),
  },
  editOf(domainEntry).map(
    (by): Change =>
      (all) => ({ ...all, acceptedDomains: by(all.acceptedDomains) }),
  ),
  editOf(connectorEntry).map(
    (by): Change =>
      (all) => ({ ...all, sendConnectors: by(all.sendConnectors) }),
  ),
);

/** All that a pipeline says of a message. */
function judge({ rules, router, domains, sendConnectors }: Pipeline, input: PolicyInput) {
  const known = addresses.map((text) => parseAddress(text)!);
  return {
    size: rules.size,
    needsMime: rules.needsMime,
    decision: rules.apply(input),
    explained: rules.apply(input, { explain: true }),
    routing: router.route(input.recipients, { size: 10, requireTls: false } as never, { explain: true }),
    classes: known.map((address) => domains.classify(address)),
    records: known.map((address) => domains.lookup(address)),
    connectors: [...sendConnectors.keys()],
  };
}

describe("buildPipeline()", () => {
  test("a pipeline made of the one before judges as one made from nothing, and so does the one before still", () => {
    fc.assert(
      fc.property(
        fc.array(ruleEntry, { maxLength: 8 }),
        fc.array(domainEntry, { maxLength: 3 }),
        fc.array(edit, { minLength: 1, maxLength: 8 }),
        fc.array(message, { minLength: 1, maxLength: 3 }),
        (rules, acceptedDomains, edits, messages) => {
          const judgeAll = (pipeline: Pipeline) => messages.map((input) => judge(pipeline, input));
          let pipeline = build({ ...snapshotOf([]), rules, acceptedDomains });
          for (const change of edits) {
            const before = { pipeline, judged: judgeAll(pipeline) };
            pipeline = build(change(pipeline.snapshot), before.pipeline);
            expect(judgeAll(pipeline)).toEqual(judgeAll(build(pipeline.snapshot)));
            expect(judgeAll(before.pipeline)).toEqual(before.judged);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test("rules that came and went by the thousand leave nothing behind that counts", () => {
    let pipeline = build({ ...snapshotOf([]), rules: [] });
    for (let round = 0; round < 30; round++) {
      const rules = Array.from({ length: 100 }, (_, n) =>
        rule({ name: `r${round}-${n}`, conditions: { subjectContainsWords: [`word${n}`] } }),
      );
      pipeline = build({ ...pipeline.snapshot, rules }, pipeline);
    }
    const { trace } = pipeline.rules.apply(mail({ header: "Subject: about word7.\n" }));
    expect(trace.map(({ rule: name }) => name)).toEqual(["r29-7"]);
  });

  const transport = snapshotOf([]).transport;
  const snapshot: Snapshot = {
    ...snapshotOf([receiveConnector()]),
    transport: { ...transport, agents: [{ headerFirewall: { prefixes: ["X-Ours-"] } }] },
    acceptedDomains: fc.sample(domainEntry, 1),
    sendConnectors: [sendConnector({})],
    rules: [rule({})],
  };
  test.each([
    { name: "a changed rule leaves all but the rules", change: { rules: [rule({})] }, fresh: ["rules"] },
    {
      name: "a changed domain is seen by all that ask for domains",
      change: { acceptedDomains: fc.sample(domainEntry, 1) },
      fresh: ["agents", "domains", "router", "rules", "sendConnectors"],
    },
    {
      name: "a changed hostname is where postmaster lives",
      change: { transport: { ...snapshot.transport, hostname: "mx2.contoso.example" } },
      fresh: ["agents", "domains", "router", "rules", "sendConnectors"],
    },
    {
      name: "a changed send connector leaves agents and rules",
      change: { sendConnectors: [sendConnector({})] },
      fresh: ["router", "sendConnectors"],
    },
    {
      name: "changed agents leave the rest",
      change: { transport: { ...snapshot.transport, agents: [] } },
      fresh: ["agents"],
    },
    {
      name: "a receive connector that disables an agent changes the agents",
      change: { receiveConnectors: [receiveConnector({ disabledAgents: ["headerFirewall"] })] },
      fresh: ["agents"],
    },
    { name: "the same entries leave everything", change: { rules: [...snapshot.rules] }, fresh: [] },
  ])("$name", ({ change, fresh }) => {
    const before = build(snapshot);
    const after = build({ ...snapshot, ...change }, before);
    const parts = ["agents", "domains", "router", "rules", "sendConnectors"] as const;
    expect(parts.filter((part) => before[part] !== after[part])).toEqual(fresh);
  });
});
