/** What the tracking log says of rules, written and read again. */
import { describe, expect, test } from "vitest";
import { readTrackingLine } from "../lib/tracking-line.ts";
import { formatAddress, parseAddress } from "../mail/address.ts";
import type { Recipient } from "../mail/message.ts";
import { queueItem } from "../test/helpers/queue-items.ts";
import { ruleEvents } from "./plan-events.ts";
import type { PolicyDecision, RuleTrace } from "./policy/mod.ts";
import { describePredicate } from "./rule-text.ts";
import { createFormat } from "./tracking-text.ts";

const MESSAGE = queueItem({ id: "one" }).message;
const [ann, bob] = ["ann@x.example", "bob@x.example"].map(recipient) as [Recipient, Recipient];
const SET_HEADER: readonly string[] = ["setHeader"];

function recipient(text: string): Recipient {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`No address: ${text}`);
  return { address, original: address, notify: undefined };
}

function traced(more: Partial<RuleTrace>): RuleTrace {
  const predicates = [{ predicate: "subjectContainsWords", result: "yes", evidence: "invoice" }] as const;
  return {
    ...{ rule: "default/a", mode: "Enforce", outcome: "matched", actions: SET_HEADER },
    ...{ predicates, recipients: [ann] },
    ...more,
  };
}

/** As the log holds it, and as its readers see it. */
function written(trace: readonly RuleTrace[]) {
  const decision: PolicyDecision = {
    outcome: "done",
    deferReason: undefined,
    copies: [],
    trace,
    logTexts: [],
  };
  const format = createFormat();
  const lines = ruleEvents(MESSAGE, decision).map((event) => `{"time":"2026",${format(event)}}`);
  return { lines, records: lines.flatMap(readTrackingLine) };
}

const asRead = ({ rule, mode, outcome, actions, predicates, recipients }: RuleTrace) => ({
  ...{ event: "AGENTINFO", agent: "Transport Rule Agent", rule, mode, outcome, actions },
  predicates: predicates.map(describePredicate),
  recipients: recipients.map(({ address }) => formatAddress(address)),
});

describe("ruleEvents()", () => {
  test.each([
    { name: "rules about the same recipients", traces: [traced({}), traced({ rule: "default/b" })] },
    {
      name: "rules about some recipients each",
      traces: [traced({}), traced({ recipients: [bob] }), traced({ recipients: [ann, bob] })],
    },
    {
      name: "a rule without predicates, and one without actions",
      traces: [traced({ predicates: [] }), traced({ outcome: "excepted", actions: [] })],
    },
    {
      name: "evidence that JSON must quote",
      traces: [
        traced({
          predicates: [
            { predicate: "p", result: "yes", evidence: 'a "b" \\ \u0001\ud800\u2028 ü' },
            { predicate: "exceptions.q", result: "no", evidence: "" },
          ],
        }),
      ],
    },
    {
      name: "one rule that changed its outcome, its mode and its name, with the same list of actions",
      traces: [
        traced({}),
        traced({ outcome: "error" }),
        traced({ mode: "Audit" }),
        traced({ rule: "default/z" }),
        traced({}),
      ],
    },
  ])("one line tells of $name", ({ traces }) => {
    const { lines, records } = written(traces);
    expect(lines).toHaveLength(1);
    expect(records).toMatchObject(traces.map(asRead));
  });

  test("rules that did nothing are not told of", () => {
    const { records } = written([
      traced({ outcome: "not-matched" }),
      traced({ rule: "default/b" }),
      traced({ outcome: "inactive" }),
    ]);
    expect(records.map(({ rule }) => rule)).toEqual(["default/b"]);
    expect(written([traced({ outcome: "not-matched" })]).lines).toEqual([]);
  });
});
