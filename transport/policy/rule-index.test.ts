/** The index never changes a decision: explain tries every rule without it, and must come to the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actions, maybe, message, predicates, spec } from "../../test/helpers/random-rules.ts";
import { domains, mail, rule } from "../../test/helpers/rules.ts";
import { compileRules, type PolicyDecision } from "./mod.ts";

function essence({ trace, ...decision }: PolicyDecision) {
  const told = trace.filter(({ outcome }) => outcome !== "not-matched" && outcome !== "inactive");
  return {
    ...decision,
    trace: told.map(({ rule: name, outcome, actions: done, recipients }) => ({
      name,
      outcome,
      done,
      recipients,
    })),
  };
}

describe("createRuleIndex()", () => {
  test("an indexed evaluation decides as one that tries every rule", () => {
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 8 }), message, (specs, input) => {
        const entries = specs.map((one, index) => rule({ name: `r${index}`, ...one }));
        const rules = compileRules(entries, { domains });
        expect(essence(rules.apply(input))).toEqual(essence(rules.apply(input, { explain: true })));
      }),
      { numRuns: 1200 },
    );
  });

  test("every recipient that is delivered to is in one copy, and nobody is lost but by redirection", () => {
    fc.assert(
      fc.property(fc.array(spec, { maxLength: 6 }), message, (specs, input) => {
        const kept = specs.filter((one) => !("redirectMessageTo" in one.actions));
        const entries = kept.map((one) => rule({ ...one, onError: "Ignore" }));
        const { copies } = compileRules(entries, { domains }).apply(input);
        const named = copies.flatMap(({ recipients }) => recipients);
        for (const recipient of input.recipients) {
          expect(named.filter((one) => one === recipient)).toHaveLength(1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a recipient among others fares as it would alone", () => {
    const judgesAll = /anyOf(?:To|Cc|Recipient)|recipientCountOver/;
    const names = Object.keys(predicates).filter((name) => !judgesAll.test(name));
    const own = fc
      .uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 2 })
      .chain((chosen) => fc.record(Object.fromEntries(chosen.map((name) => [name, predicates[name]!]))));
    const quiet = fc.record({
      conditions: maybe(own),
      exceptions: maybe(own),
      actions: actions.filter((one) => !/redirect|copyTo|blindCopyTo/i.test(Object.keys(one).join())),
      stopRuleProcessing: fc.boolean(),
      onError: fc.constant("Ignore"),
    });
    fc.assert(
      fc.property(fc.array(quiet, { maxLength: 6 }), message, (specs, input) => {
        const rules = compileRules(
          specs.map((one) => rule(one)),
          { domains },
        );
        const together = rules.apply(input).copies;
        for (const recipient of input.recipients) {
          const copy = together.find(({ recipients }) => recipients.includes(recipient));
          const [alone] = rules.apply({ ...input, recipients: [recipient] }).copies;
          const isJudged = copy?.fate.kind === "reject" || copy?.fate.kind === "delete";
          if (isJudged) expect(copy?.fate).toEqual(alone?.fate);
          else expect({ ...copy, recipients: [] }).toEqual({ ...alone, recipients: [] });
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("a rule whose keys the message lacks is not even tried, nor are its patterns built", () => {
    let compiled = 0;
    let tested = 0;
    const regexp = {
      compile(source: string) {
        compiled++;
        return {
          source,
          test: () => {
            tested++;
            return undefined;
          },
        };
      },
    };
    const entries = Array.from({ length: 1000 }, (_, n) =>
      rule({ conditions: { senderDomainIs: [`d${n}.example`], subjectMatchesPatterns: [`[a-z]${n}?`] } }),
    );
    const rules = compileRules(entries, { domains, regexp });
    rules.apply(mail({ sender: "a@d7.example" }));
    expect({ compiled, tested }).toEqual({ compiled: 1, tested: 1 });
  });

  test("a pattern whose literal the text lacks is not run", () => {
    let tested = 0;
    const regexp = {
      compile: (source: string) => ({
        source,
        test: (text: string) => {
          tested++;
          return new RegExp(source, "i").exec(text)?.[0];
        },
      }),
    };
    const entries = Array.from({ length: 1000 }, (_, n) =>
      rule({ name: `r${n}`, conditions: { subjectMatchesPatterns: [`invoice-${n}\\b`] } }),
    );
    const rules = compileRules(entries, { domains, regexp });
    const decision = rules.apply(mail({ header: "Subject: about Invoice-77.\n" }));
    expect(decision.trace.map((one) => one.rule)).toEqual(["r77"]);
    // "invoice-7" stands in "invoice-77" too.
    expect(tested).toBe(2);
  });
});
