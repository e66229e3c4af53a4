/**
 * Facts about conditions: one real message with attachments meets a rule for each, and the trace says which matched.
 *
 * Also: order, stop, activation and expiry, Audit, onError, and a pattern made to take for ever.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const base64 = (content: string | Buffer) => Buffer.from(content).toString("base64");
/** The first octets of a Windows program. */
const PROGRAM = Buffer.concat([
  Buffer.from("MZ"),
  Buffer.alloc(58),
  Buffer.from([64, 0, 0, 0]),
  Buffer.from("PE\0\0"),
]);

const MESSAGE = [
  "From: Eve Elster <eve@news.fabrikam.example>",
  "To: Ann <ann@contoso.example>",
  "Cc: team@contoso.example",
  "Subject: =?utf-8?B?UsOkdW11bmcgdm9uIEFrdGUgNDcxMQ==?=",
  "Importance: high",
  "X-Mailer: Bulk Sender 3.1",
  "MIME-Version: 1.0",
  "Content-Type: multipart/mixed; boundary=outer",
  "",
  "--outer",
  'Content-Type: text/plain; charset="iso-8859-15"',
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "Die Geheimzahl f=FCr M=FCnchen ist 0815.",
  "--outer",
  "Content-Type: text/plain; name=readme.txt",
  "Content-Disposition: attachment; filename=readme.txt",
  "Content-Transfer-Encoding: base64",
  "",
  base64(PROGRAM),
  "--outer",
  "Content-Type: application/pdf",
  "Content-Disposition: attachment; filename*=utf-8''Rechnung%20f%C3%BCr%20Ann.PDF",
  "Content-Transfer-Encoding: base64",
  "",
  (base64(`%PDF-1.7\n${"x".repeat(3000)}`).match(/.{1,76}/g) ?? []).join("\r\n"),
  "--outer--",
  "",
].join("\r\n");

/** Conditions, and whether the message meets them. */
const ROWS: readonly (readonly [conditions: string, holds: boolean])[] = [
  ["{from: [eve@news.fabrikam.example]}", true],
  ["{from: [eve@fabrikam.example]}", false],
  ["{fromScope: NotInOrganization}", true],
  ["{fromScope: InOrganization}", false],
  ["{fromAddressContainsWords: [news]}", true],
  ['{fromAddressMatchesPatterns: ["^eve@.*\\\\.example$"]}', true],
  ["{senderDomainIs: [fabrikam.example]}", true],
  ["{senderDomainIs: [brikam.example]}", false],
  ["{senderIpRanges: [127.0.0.0/8]}", true],
  ["{senderIpRanges: [10.0.0.0/8]}", false],
  ["{authenticated: false}", true],
  ["{authenticated: true}", false],
  ["{receiveConnectorIs: [internet]}", true],
  ["{receiveConnectorIs: [other]}", false],
  ["{sentTo: [ann@contoso.example]}", true],
  ["{sentTo: [bob@contoso.example]}", false],
  ["{sentToScope: InOrganization}", true],
  ["{sentToScope: NotInOrganization}", false],
  ["{recipientDomainIs: [contoso.example]}", true],
  ["{recipientAddressContainsWords: [ann]}", true],
  ['{recipientAddressMatchesPatterns: ["^ann@"]}', true],
  ["{anyOfRecipientAddressContainsWords: [contoso]}", true],
  ['{anyOfRecipientAddressMatchesPatterns: ["^x"]}', false],
  ["{anyOfToHeader: [ann@contoso.example]}", true],
  ["{anyOfCcHeader: [team@contoso.example]}", true],
  ["{anyOfToCcHeader: [team@contoso.example]}", true],
  ["{anyOfToHeader: [team@contoso.example]}", false],
  ["{recipientCountOver: 0}", true],
  ["{recipientCountOver: 1}", false],
  ["{subjectContainsWords: [räumung]}", true],
  ["{subjectContainsWords: [räum]}", false],
  ['{subjectMatchesPatterns: ["akte \\\\d{4}$"]}', true],
  ["{subjectOrBodyContainsWords: [münchen]}", true],
  ['{subjectOrBodyMatchesPatterns: ["geheimzahl .* ist \\\\d+"]}', true],
  ["{headerContainsWords: {header: X-Mailer, words: [bulk]}}", true],
  ['{headerMatchesPatterns: {header: X-Mailer, patterns: ["3\\\\.\\\\d"]}}', true],
  ["{headerExists: [x-mailer]}", true],
  ["{headerExists: [X-Nothing]}", false],
  ['{attachmentNameMatchesPatterns: ["^Rechnung für"]}', true],
  ["{attachmentExtensionMatchesWords: [pdf]}", true],
  ["{attachmentExtensionMatchesWords: [exe]}", false],
  ["{attachmentTypeIs: [application/pdf]}", true],
  ["{attachmentTypeIs: [image/*]}", false],
  ["{attachmentHasExecutableContent: true}", true],
  ["{attachmentHasExecutableContent: false}", false],
  ["{attachmentSizeOver: 2Ki}", true],
  ["{attachmentSizeOver: 4Ki}", false],
  ["{hasAttachment: true}", true],
  ["{hasAttachment: false}", false],
  ["{messageSizeOver: 4Ki}", true],
  ["{messageSizeOver: 1Mi}", false],
  ["{messageTypeMatches: Signed}", false],
  ["{withImportance: High}", true],
  ["{withImportance: Low}", false],
  ["{sclOver: 0}", false],
  ["{contentCharacterSetContainsWords: [iso-8859-15]}", true],
  ["{stampIs: {name: SCL, values: ['5']}}", false],
  ["{headerExists: [x-mailer], sentTo: [bob@contoso.example]}", false],
  ["{anyOf: [{sentTo: [bob@contoso.example]}, {hasAttachment: true}]}", true],
];

const RULE = "apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\n";
const rule = (name: string, spec: string) => `${RULE}metadata: {name: ${name}}\nspec:\n${spec}\n`;
/** Two alternatives that fit the same text: exponential in an engine that backtracks. */
const CATASTROPHIC =
  '  conditions: {subjectOrBodyMatchesPatterns: ["^(a+)+$", "(a|aa)+b$"]}\n  actions: {logEventText: slow}';

let transport: TestTransport;
beforeAll(async () => {
  const rules = ROWS.map(([conditions], index) =>
    rule(`row-${index}`, `  priority: ${index}\n  conditions: ${conditions}\n  actions: {logEventText: row}`),
  );
  const special = [
    rule("late", "  priority: 9000\n  actions: {setHeader: [{name: X-Order, value: late}]}"),
    rule("early", "  priority: 8000\n  actions: {setHeader: [{name: X-Order, value: early}]}"),
    rule("audit", "  mode: Audit\n  conditions: {hasAttachment: true}\n  actions: {deleteMessage: true}"),
    rule("not-yet", '  activationDate: "2999-01-01T00:00:00Z"\n  actions: {deleteMessage: true}'),
    rule("no-longer", '  expiryDate: "2001-01-01T00:00:00Z"\n  actions: {deleteMessage: true}'),
    rule("excepted", "  exceptions: {hasAttachment: true}\n  actions: {deleteMessage: true}"),
    rule(
      "stop",
      "  priority: 9500\n  conditions: {hasAttachment: true}\n  actions: {logEventText: stop}\n  stopRuleProcessing: true",
    ),
    rule("after-stop", "  priority: 9501\n  actions: {deleteMessage: true}"),
    rule("slow", CATASTROPHIC),
  ];
  transport = await startTestTransport({
    manifests: { "all.yaml": BASIC, "rules.yaml": [...rules, ...special].join("---\n") },
  });
});
afterAll(() => transport.stop());

const send = async (content: string) => {
  const client = await openDialogue({ port: transport.port() });
  expect(await client.send("eve@news.fabrikam.example", ["ann@contoso.example"], content)).toMatch(/^250/);
  client.close();
};

describe("a message with a program named readme.txt", () => {
  let outcomes: ReadonlyMap<string, string>;
  let copy = "";
  beforeAll(async () => {
    await send(MESSAGE);
    copy = await eventually(async () => (await transport.dropped("mailboxes"))[0]);
    const events = await eventually(async () => {
      const found = (await transport.events()).filter(({ rule: name }) => name !== undefined);
      return found.some(({ rule: name }) => name === "default/stop") ? found : undefined;
    });
    outcomes = new Map(events.map((event) => [String(event.rule).slice(8), String(event.outcome)]));
  });

  test.each(ROWS.map(([conditions, holds], index) => ({ conditions, holds, index })))(
    "$conditions: $holds",
    ({ holds, index }) => {
      expect(outcomes.get(`row-${index}`)).toBe(holds ? "matched" : undefined);
    },
  );

  test("the later rule has the last word, a rule with stop is the last", () => {
    expect(copy.match(/^X-Order: .*$/gm)).toEqual(["X-Order: late"]);
    expect(outcomes.get("stop")).toBe("matched");
    expect(outcomes.has("after-stop")).toBe(false);
  });

  test("Audit, dates and exceptions keep a rule from acting", () => {
    expect(outcomes.get("audit")).toBe("matched");
    expect(outcomes.get("excepted")).toBe("excepted");
    expect(outcomes.has("not-yet")).toBe(false);
    expect(outcomes.has("no-longer")).toBe(false);
  });
});

describe("a pattern that would take exponential time", () => {
  test("is judged at once", async () => {
    const seconds = async () => {
      const text = await (await fetch(`http://127.0.0.1:${transport.httpPort}/metrics`)).text();
      return Number(/^postroom_categorize_duration_seconds_sum (\S+)/m.exec(text)?.[1]);
    };
    const start = await seconds();
    await send(`Subject: ${"a".repeat(200)}!\r\n\r\n${`${"a".repeat(900)}\r\n`.repeat(100)}!\r\n`);
    // It has no attachment, so the rule with the exception deletes it.
    await eventually(async () => (await transport.events()).some(({ event }) => event === "DROP"));
    // An engine that backtracks would need longer than the sun will shine.
    expect((await seconds()) - start).toBeLessThan(10);
  });
});
