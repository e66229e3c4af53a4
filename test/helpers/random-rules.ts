/** Random rules and messages over a few values, so that many rules hold: for property tests. */
import fc from "fast-check";
import { mail, part } from "./rules.ts";

const ADDRESSES = ["a@contoso.example", "b@contoso.example", "c@x.example", "d@sub.x.example", "e@y.example"];
const WORDS = ["red", "blue", "red green", "a", "contoso", "x"];
const PATTERNS = ["red\\s?gr", "^bl", "contoso.*ex", "[abc]@x", "\\d+", "(?:red|blue)", "blue$"];
const LEVELS = ["Low", "Normal", "High"] as const;
const address = fc.constantFrom(...ADDRESSES);
const list = <T>(items: readonly T[]) =>
  fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: 3 });

export const predicates: Record<string, fc.Arbitrary<unknown>> = {
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
export const actions = fc.oneof(
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
export const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
/** The spec of a rule. */
export const spec = fc.record({
  conditions: fc.option(conditions, { nil: undefined, freq: 8 }),
  exceptions: maybe(conditions),
  actions,
  mode: fc.constantFrom("Enforce", "Enforce", "Enforce", "Audit"),
  onError: fc.constantFrom("Ignore", "Ignore", "Defer"),
  stopRuleProcessing: fc.constantFrom(false, false, false, true),
  senderAddressLocation: fc.constantFrom("Header", "Envelope", "HeaderOrEnvelope"),
});

export const message = fc
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
