/** The index never changes a decision: explain tries every rule without it, and must come to the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domains, mail, part, rule } from "../../test/helpers/rules.ts";
import { compileRules, type PolicyDecision } from "./mod.ts";

const ADDRESSES = ["a@contoso.example", "b@contoso.example", "c@x.example", "d@sub.x.example", "e@y.example"];
const WORDS = ["red", "blue", "red green", "a", "contoso", "x"];
const PATTERNS = ["red\\s?gr", "^bl", "contoso.*ex", "[abc]@x", "\\d+", "(?:red|blue)", "blue$"];
const LEVELS = ["Low", "Normal", "High"] as const;
const address = fc.constantFrom(...ADDRESSES);
const list = <T>(items: readonly T[]) =>
  fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 3 });

const predicates: Record<string, fc.Arbitrary<unknown>> = {
  from: list(ADDRESSES),
  fromScope: fc.constantFrom("InOrganization", "NotInOrganization"),
  fromAddressContainsWords: list(WORDS),
  fromAddressMatchesPatterns: list(PATTERNS),
  senderDomainIs: list(["contoso.example", "x.example", "sub.x.example", "example"]),
  senderIpRanges: list([
    "192.0.2.0/24",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "192.0.2.7",
    "10.1.2.0-10.1.3.255",
    "::/0",
  ]),
  authenticated: fc.boolean(),
  sentTo: list(ADDRESSES),
  sentToScope: fc.constantFrom("InOrganization", "NotInOrganization"),
  recipientDomainIs: list(["contoso.example", "x.example", "example"]),
  recipientAddressContainsWords: list(WORDS),
  recipientAddressMatchesPatterns: list(PATTERNS),
  anyOfRecipientAddressContainsWords: list(WORDS),
  anyOfRecipientAddressMatchesPatterns: list(PATTERNS),
  anyOfToCcHeader: list(ADDRESSES),
  anyOfCcHeader: list(ADDRESSES),
  recipientCountOver: fc.nat(4),
  subjectContainsWords: list(WORDS),
  subjectMatchesPatterns: list(PATTERNS),
  subjectOrBodyContainsWords: list(WORDS),
  subjectOrBodyMatchesPatterns: list(PATTERNS),
  headerContainsWords: fc.record({ header: fc.constantFrom("X-A", "subject"), words: list(WORDS) }),
  headerExists: list(["X-A", "x-b", "Subject"]),
  attachmentExtensionMatchesWords: list(["exe", "tar.gz", "gz"]),
  attachmentSizeOver: fc.constantFrom("10", "1k"),
  hasAttachment: fc.boolean(),
  messageSizeOver: fc.constantFrom("1", "100", "1M"),
  messageTypeMatches: fc.constantFrom("OOF", "Calendaring"),
  withImportance: fc.constantFrom(...LEVELS),
  sclOver: fc.integer({ min: -1, max: 9 }),
  stampIs: fc.record({ name: fc.constant("SPF"), values: list(["pass", "fail"]) }),
};

const predicateSet = fc
  .uniqueArray(fc.constantFrom(...Object.keys(predicates)), { minLength: 1, maxLength: 2 })
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, predicates[name]!]))));
const conditions = fc.oneof(
  { weight: 4, arbitrary: predicateSet },
  fc.record({ anyOf: fc.array(predicateSet, { minLength: 1, maxLength: 3 }) }),
  fc
    .tuple(predicateSet, fc.array(predicateSet, { minLength: 1, maxLength: 2 }))
    .map(([own, anyOf]) => ({ ...own, anyOf })),
);
const actions = fc.oneof(
  fc.record({ setScl: fc.integer({ min: -1, max: 9 }) }),
  fc.record({ setPriority: fc.constantFrom(...LEVELS) }),
  fc.record({ prependSubject: fc.constantFrom("red ", "blue ", "contoso ") }),
  fc.record({ setHeader: fc.constant([{ name: "X-A", value: "blue" }]) }),
  fc.record({ removeHeader: list(["X-A", "subject"]) }),
  fc.record({ redirectMessageTo: list(ADDRESSES) }),
  fc.record({ blindCopyTo: list(ADDRESSES) }),
  fc.record({ copyTo: list(ADDRESSES) }),
  fc.record({ quarantine: fc.constant(true) }),
  fc.record({ rejectMessage: fc.constant({}), blindCopyTo: list(ADDRESSES) }),
  fc.record({ logEventText: fc.constantFrom("one", "two") }),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const spec = fc.record({
  conditions: fc.option(conditions, { nil: undefined, freq: 8 }),
  exceptions: maybe(conditions),
  actions,
  mode: fc.constantFrom("Enforce", "Enforce", "Enforce", "Audit"),
  onError: fc.constantFrom("Ignore", "Ignore", "Defer"),
  stopRuleProcessing: fc.constantFrom(false, false, false, true),
  senderAddressLocation: fc.constantFrom("Header", "Envelope", "HeaderOrEnvelope"),
});

const message = fc
  .record({
    sender: fc.option(address, { nil: null }),
    to: fc.uniqueArray(address, { minLength: 1, maxLength: 4 }),
    from: address,
    cc: address,
    subject: fc.array(fc.constantFrom("red", "green", "blue", "contoso", "12"), { maxLength: 4 }),
    extra: fc.constantFrom("", "X-A: red\n", "X-B: 1\nImportance: high\n", "Auto-Submitted: auto-replied\n"),
    text: fc.array(fc.constantFrom("red", "green", "\r\n", "blue", "7", "x"), { maxLength: 6 }),
    parts: fc.array(fc.record({ fileName: fc.constantFrom("a.exe", "b.tar.gz", "c"), size: fc.nat(2000) }), {
      maxLength: 2,
    }),
    examined: fc.constantFrom("yes", "yes", "yes", "no", "too complex"),
    client: fc.constantFrom("192.0.2.7", "10.1.2.3", "2001:db8::1"),
    internal: fc.boolean(),
    stamps: fc.constantFrom({}, { SCL: "5" }, { SPF: "fail" }),
  })
  .map(({ from, cc, subject, extra, text, parts, examined, client, internal, ...more }) =>
    mail({
      ...more,
      header: `From: <${from}>\nCc: ${cc}\nSubject: ${subject.join(" ")}\n${extra}`,
      origin: { clientAddress: client, internal, ...(internal && { user: "a" }) },
      mime:
        examined === "no"
          ? null
          : { text: text.join(" "), parts: parts.map(part), tooComplex: examined === "too complex" },
    }),
  );

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
