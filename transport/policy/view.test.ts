/** Facts taken over from one view to the next never differ from facts worked out anew. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeField, removeFields, setField } from "../../mail/header.ts";
import { message, spec } from "../../test/helpers/random-rules.ts";
import { domains, mail, recipient, rule } from "../../test/helpers/rules.ts";
import { aspectOfField, compareHeaders, HEADER } from "./aspects.ts";
import type { PolicyInput } from "./mod.ts";
import { createRuleCompiler } from "./rule.ts";
import { createTextFacts } from "./text-facts.ts";
import { createView, type MessageView, type ViewState } from "./view.ts";

const fieldNames = [
  "From",
  "To",
  "Cc",
  "Subject",
  "X-Priority",
  "Importance",
  "X-Tag",
  "Content-Type",
  "x-campaign",
];
const values = [
  "ann@contoso.example",
  "Zoe <zoe@fabrikam.example>",
  "invoice",
  "High",
  "1",
  "multipart/signed",
];

/** One thing that changes: a field set, fields removed, a stamp, the recipients. */
const change = fc.oneof(
  fc.record({ name: fc.constantFrom(...fieldNames), value: fc.constantFrom(...values) }).map(
    ({ name, value }) =>
      (state: ViewState): ViewState => ({ ...state, header: setField(state.header, makeField(name, value)) }),
  ),
  fc.constantFrom(...fieldNames).map(
    (name) =>
      (state: ViewState): ViewState => ({ ...state, header: removeFields(state.header, name) }),
  ),
  fc.constantFrom("-1", "4", "9").map(
    (level) =>
      (state: ViewState): ViewState => ({ ...state, stamps: { ...state.stamps, SCL: level } }),
  ),
  fc.constantFrom("ann@contoso.example", "eve@outside.example", "bob@contoso.example").map(
    (to) =>
      (state: ViewState): ViewState => ({ ...state, allRecipients: [...state.allRecipients, recipient(to)] }),
  ),
);

function stateOf({ message: { header, stamps }, recipients }: PolicyInput): ViewState {
  return { header, stamps, allRecipients: recipients };
}

describe("MessageView.next()", () => {
  const steps = fc.array(fc.record({ from: fc.nat(), change, asked: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });
  test("predicates and candidates say of a view made from others what they say of one made anew", () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 8 }), message, steps, (specs, input, path) => {
        const compiler = createRuleCompiler();
        const stored = specs.map((one, index) => compiler.store(rule({ name: `r${index}`, ...one })));
        const predicates = stored
          .map((one) => compiler.compile(one))
          .flatMap(({ conditions, anyOf = [], exceptions }) => [
            ...conditions,
            ...anyOf.flat(),
            ...exceptions.flat(),
          ]);
        const source = {
          message: input.message,
          mime: input.mime,
          domains,
          texts: createTextFacts(compiler.wordScan),
        };
        const judge = (view: MessageView) =>
          predicates.flatMap((predicate) => input.recipients.map((one) => predicate.test(view, one)));
        const views = [createView(source, stateOf(input))];
        const states = [stateOf(input)];
        const search = compiler.index.search();
        const found = new Set<number>();
        search.candidates(views[0]!, found);
        const compare = (view: MessageView, fresh: MessageView) => {
          expect(judge(view)).toEqual(judge(fresh));
          search.candidates(view, found);
          const wanted = new Set<number>();
          compiler.index.search().candidates(fresh, wanted);
          for (const id of wanted) expect(found).toContain(id);
        };
        for (const { from, change: apply, asked } of path) {
          const at = from % views.length;
          const state = apply(states[at]!);
          const view = views[at]!.next(state);
          views.push(view);
          states.push(state);
          if (asked) compare(view, createView(source, state));
        }
        for (const [at, view] of views.entries())
          expect(judge(view)).toEqual(judge(createView(source, states[at]!)));
      }),
      { numRuns: 1000 },
    );
  });

  test("a fact is not worked out again when what it came from is the same", () => {
    const input = mail();
    const state = stateOf(input);
    const source = { ...input, domains, texts: createTextFacts(createRuleCompiler().wordScan) };
    let runs = 0;
    const senders = (view: MessageView) =>
      view.memo("senders", () => {
        runs++;
        return view.headerAddresses("from").map(({ domain }) => domain);
      });
    const first = createView(source, state);
    senders(first);
    const tagged = first.next({ ...state, header: setField(state.header, makeField("X-Tag", "1")) });
    expect([senders(tagged), runs]).toEqual([["fabrikam.example"], 1]);
    const forged = tagged.next({
      ...state,
      header: setField(state.header, makeField("From", "a@b.example")),
    });
    expect([senders(forged), runs]).toEqual([["b.example"], 2]);
    expect([senders(first), runs]).toEqual([["fabrikam.example"], 2]);
  });
});

describe("compareHeaders()", () => {
  const [from, subject, to] = [makeField("From", "1"), makeField("Subject", "1"), makeField("To", "1")];
  const other = makeField("Subject", "2");
  const tag = makeField("X-Tag", "1");
  test.each([
    { name: "a field set", after: [from, other, to], fields: ["subject"], added: [other] },
    { name: "a field added", after: [from, subject, to, tag], fields: ["x-tag"], added: [tag] },
    { name: "a field removed", after: [from, to], fields: ["subject"], added: [] },
    {
      name: "fields in another order",
      after: [subject, from, to],
      fields: ["from", "subject"],
      added: [subject, from],
    },
    { name: "nothing", after: [from, subject, to], fields: [], added: [] },
  ])("$name", ({ after, fields, added }) => {
    const aspects = fields.reduce((all, name) => all | HEADER | aspectOfField(name), 0);
    expect(compareHeaders([from, subject, to], after)).toEqual({ aspects, added });
  });
});
