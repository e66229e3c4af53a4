import { describe, expect, test } from "vitest";
import { formatAddress } from "../../mail/address.ts";
import { domains, type MailOptions, mail, part, recipient, rule } from "../../test/helpers/rules.ts";
import { compileRules, type PolicyCopy, type PolicyDecision } from "./mod.ts";

type RuleInput = Parameters<typeof rule>[0];

function apply(rules: readonly RuleInput[], options: MailOptions = {}, explain = false): PolicyDecision {
  const entries = rules.map((one, index) => rule({ name: `r${index + 1}`, ...one }));
  return compileRules(entries, { domains }).apply(mail(options), { explain });
}

/** Only what differs from mail that no rule touched. */
function brief(copy: PolicyCopy): Record<string, unknown> {
  const { recipients, added, edits, fate, connectorOverride, requireTls, priority, stamps } = copy;
  return {
    to: recipients.map(({ address }) => formatAddress(address)).join(" "),
    ...(added.length > 0 && { added: added.map(({ address }) => formatAddress(address)).join(" ") }),
    ...(edits.length > 0 && { edits }),
    ...(fate.kind !== "deliver" && { fate: fate.kind }),
    ...(connectorOverride !== undefined && { connectorOverride }),
    ...(requireTls && { requireTls }),
    ...(priority !== "Normal" && { priority }),
    ...(Object.keys(stamps).length > 0 && { stamps }),
  };
}

function copies(rules: readonly RuleInput[], options: MailOptions = {}): Record<string, unknown>[] {
  return apply(rules, options).copies.map(brief);
}

const ANN = "ann@contoso.example";
const BOB = "bob@contoso.example";
const EVE = "eve@outside.example";
const AUDIT = "audit@contoso.example";
const both = { to: [ANN, EVE] };
const outside = { sentToScope: "NotInOrganization" };
const ann = { localPart: "ann", domain: "contoso.example" };
const audit = { localPart: "audit", domain: "contoso.example" };

describe("actions", () => {
  test.each([
    {
      name: "rejectMessage sets the fate with the defaults",
      actions: { rejectMessage: {} },
      want: { to: ANN, fate: "reject" },
    },
    { name: "deleteMessage drops", actions: { deleteMessage: true }, want: { to: ANN, fate: "delete" } },
    { name: "quarantine keeps", actions: { quarantine: true }, want: { to: ANN, fate: "quarantine" } },
    {
      name: "deleteMessage false does nothing",
      actions: { deleteMessage: false, setScl: 3 },
      want: { to: ANN, stamps: { SCL: "3" } },
    },
    {
      name: "redirectMessageTo replaces the recipients",
      actions: { redirectMessageTo: [BOB, BOB] },
      want: { to: "", added: BOB },
    },
    {
      name: "redirectMessageTo to oneself changes nothing",
      actions: { redirectMessageTo: [ANN] },
      want: { to: ANN },
    },
    {
      name: "addToRecipients also names them in To",
      actions: { addToRecipients: [AUDIT] },
      want: { to: ANN, added: AUDIT, edits: [{ kind: "addAddress", field: "To", address: audit }] },
    },
    {
      name: "copyTo also names them in Cc",
      actions: { copyTo: [AUDIT] },
      want: { to: ANN, added: AUDIT, edits: [{ kind: "addAddress", field: "Cc", address: audit }] },
    },
    {
      name: "blindCopyTo names them nowhere",
      actions: { blindCopyTo: [AUDIT] },
      want: { to: ANN, added: AUDIT },
    },
    {
      name: "who gets the message already is not added again",
      actions: { blindCopyTo: [ANN] },
      want: { to: ANN },
    },
    {
      name: "but is named",
      actions: { copyTo: [ANN] },
      want: { to: ANN, edits: [{ kind: "addAddress", field: "Cc", address: ann }] },
    },
    {
      name: "setHeader sets",
      actions: { setHeader: [{ name: "X-A", value: "é" }] },
      want: { to: ANN, edits: [{ kind: "setHeader", name: "X-A", value: "é" }] },
    },
    {
      name: "removeHeader removes",
      actions: { removeHeader: ["subject"] },
      want: { to: ANN, edits: [{ kind: "removeHeader", name: "subject" }] },
    },
    {
      name: "removeHeader of an absent field is no edit",
      actions: { removeHeader: ["X-No"] },
      want: { to: ANN },
    },
    {
      name: "removeHeader comes before setHeader",
      actions: { setHeader: [{ name: "Subject", value: "x" }], removeHeader: ["Subject"] },
      want: {
        to: ANN,
        edits: [
          { kind: "removeHeader", name: "Subject" },
          { kind: "setHeader", name: "Subject", value: "x" },
        ],
      },
    },
    {
      name: "prependSubject puts text before",
      actions: { prependSubject: "[EXT] " },
      want: { to: ANN, edits: [{ kind: "prependSubject", text: "[EXT] " }] },
    },
    { name: "prependSubject does so once", actions: { prependSubject: "Hello" }, want: { to: ANN } },
    {
      name: "applyHtmlDisclaimer makes the text of the HTML",
      actions: { applyHtmlDisclaimer: { html: "<p>A &amp; B</p><p>C<br>D</p>" } },
      want: {
        to: ANN,
        edits: [
          {
            kind: "disclaimer",
            html: "<p>A &amp; B</p><p>C<br>D</p>",
            text: "A & B\nC\nD",
            location: "Append",
            fallbackAction: "Wrap",
          },
        ],
      },
    },
    {
      name: "routeMessageOutboundConnector overrides the route",
      actions: { routeMessageOutboundConnector: "default/x" },
      want: { to: ANN, connectorOverride: "default/x" },
    },
    {
      name: "routeMessageOutboundRequireTls demands TLS",
      actions: { routeMessageOutboundRequireTls: true },
      want: { to: ANN, requireTls: true },
    },
    { name: "setPriority orders", actions: { setPriority: "Low" }, want: { to: ANN, priority: "Low" } },
    { name: "setScl stamps", actions: { setScl: -1 }, want: { to: ANN, stamps: { SCL: "-1" } } },
    { name: "logEventText changes nothing", actions: { logEventText: "seen" }, want: { to: ANN } },
  ])("$name", ({ actions, want }) => {
    expect(copies([{ actions }])).toEqual([want]);
  });

  test("a rejection carries its status and text", () => {
    const decision = apply([
      { actions: { rejectMessage: { enhancedStatusCode: "5.7.900", reasonText: "No" } } },
    ]);
    expect(decision.copies[0]?.fate).toEqual({ kind: "reject", status: "5.7.900", text: "No" });
  });

  test("logEventText of the rules that matched comes back in order, once a rule", () => {
    const rules = [
      { conditions: outside, actions: { setScl: 1 } },
      { actions: { logEventText: "one" } },
      { conditions: { from: ["no@no.example"] }, actions: { logEventText: "no" } },
      { actions: { logEventText: "two" } },
    ];
    expect(apply(rules, both).logTexts).toEqual(["one", "two"]);
  });

  test("a redirected recipient keeps ORCPT when it stands for one, and asks for no DSN of its own", () => {
    const one = recipient(ANN, { orcpt: "rfc822;ann@old.example", notify: ["NEVER"] });
    const redirect = { actions: { redirectMessageTo: [AUDIT] } };
    expect(apply([redirect], { to: [one] }).copies[0]?.added).toEqual([
      { address: audit, original: audit, notify: undefined, orcpt: "rfc822;ann@old.example" },
    ]);
    expect(apply([redirect], { to: [one, EVE] }).copies[0]?.added[0]?.orcpt).toBeUndefined();
  });

  test("a rejection after a redirection is told of the recipients that the sender wrote to", () => {
    const rules = [
      { actions: { redirectMessageTo: [AUDIT] } },
      { conditions: { sentTo: [AUDIT] }, actions: { rejectMessage: {} } },
    ];
    expect(copies(rules, both)).toEqual([{ to: `${ANN} ${EVE}`, fate: "reject" }]);
  });

  test("a rejection never names a blind copy", () => {
    const rules = [{ actions: { blindCopyTo: [AUDIT] } }, { actions: { rejectMessage: {} } }];
    expect(copies(rules)).toEqual([{ to: ANN, fate: "reject" }]);
  });

  test("reject and blindCopyTo in one rule: the auditor gets it all the same", () => {
    expect(copies([{ actions: { rejectMessage: {}, blindCopyTo: [AUDIT] } }])).toEqual([
      { to: ANN, fate: "reject" },
      { to: "", added: AUDIT },
    ]);
  });

  test("quarantine keeps everybody who would have got the message", () => {
    const rules = [{ actions: { redirectMessageTo: [BOB] } }, { actions: { quarantine: true } }];
    expect(copies(rules)).toEqual([{ to: BOB, fate: "quarantine" }]);
  });
});

describe("logic", () => {
  const yes = { subjectContainsWords: ["hello"] };
  const no = { subjectContainsWords: ["bye"] };
  const unknown = { hasAttachment: true };
  test.each([
    { name: "no conditions: every message", spec: {}, want: "matched" },
    {
      name: "all conditions must hold",
      spec: { conditions: { ...yes, fromScope: "InOrganization" } },
      want: undefined,
    },
    {
      name: "one value of many is enough",
      spec: { conditions: { subjectContainsWords: ["x", "hello"] } },
      want: "matched",
    },
    { name: "anyOf: one alternative is enough", spec: { conditions: { anyOf: [no, yes] } }, want: "matched" },
    { name: "anyOf: none is not", spec: { conditions: { anyOf: [no, no] } }, want: undefined },
    {
      name: "anyOf: all of an alternative must hold",
      spec: { conditions: { anyOf: [{ ...yes, fromScope: "InOrganization" }] } },
      want: undefined,
    },
    { name: "anyOf must hold too", spec: { conditions: { ...yes, anyOf: [no] } }, want: undefined },
    {
      name: "an exception releases",
      spec: { conditions: yes, exceptions: { senderDomainIs: ["fabrikam.example"] } },
      want: "excepted",
    },
    {
      name: "any exception releases",
      spec: { exceptions: { ...no, fromScope: "NotInOrganization" } },
      want: "excepted",
    },
    { name: "an exception that does not hold does not", spec: { exceptions: no }, want: "matched" },
    {
      name: "anyOf in exceptions: all of an alternative must hold",
      spec: { exceptions: { anyOf: [{ ...yes, fromScope: "InOrganization" }] } },
      want: "matched",
    },
    { name: "anyOf in exceptions releases", spec: { exceptions: { anyOf: [no, yes] } }, want: "excepted" },
    { name: "an unknown condition is an error", spec: { conditions: unknown }, want: "error" },
    {
      name: "unknown does not matter beside no",
      spec: { conditions: { ...unknown, ...no } },
      want: undefined,
    },
    {
      name: "unknown does not matter beside an alternative that holds",
      spec: { conditions: { anyOf: [unknown, yes] } },
      want: "matched",
    },
    { name: "an unknown exception is an error", spec: { exceptions: unknown }, want: "error" },
    {
      name: "an unknown exception does not matter beside one that holds",
      spec: { exceptions: { ...unknown, ...yes } },
      want: "excepted",
    },
    {
      name: "an unknown condition does not matter when released",
      spec: { conditions: unknown, exceptions: yes },
      want: "excepted",
    },
  ])("$name", ({ spec, want }) => {
    const decision = apply([{ ...spec, onError: "Ignore" }], { mime: null });
    expect(decision.trace[0]?.outcome).toBe(want);
    const shouldAct = want === "matched";
    expect(decision.copies[0]?.priority).toBe(shouldAct ? "High" : "Normal");
  });

  test.each([
    { name: "before its activation", now: "2026-01-01T00:00:00Z", want: "Normal" },
    { name: "at its activation", now: "2026-02-01T00:00:00Z", want: "High" },
    { name: "before its expiry", now: "2026-02-28T23:59:59Z", want: "High" },
    { name: "at its expiry", now: "2026-03-01T00:00:00Z", want: "Normal" },
  ])("a rule with dates $name", ({ now, want }) => {
    const dates = { activationDate: "2026-02-01T01:00:00+01:00", expiryDate: "2026-03-01T00:00:00Z" };
    expect(apply([dates], { now: Date.parse(now) }).copies[0]?.priority).toBe(want);
  });
});

describe("onError", () => {
  const unknown = { conditions: { attachmentExtensionMatchesWords: ["exe"] } };

  test("Defer: the message waits, and the reason names the rule", () => {
    const decision = apply([{ actions: { setScl: 1 } }, { name: "no-exe", ...unknown }], { mime: null });
    expect(decision).toMatchObject({ outcome: "defer", copies: [], logTexts: [] });
    expect(decision.deferReason).toBe(
      'Rule "no-exe" cannot be evaluated: attachmentExtensionMatchesWords: the content could not be examined',
    );
  });

  test("the reason names what stands in the way, not what was unknown and did not matter", () => {
    const spec = {
      conditions: { anyOf: [{ hasAttachment: true }, { fromScope: "NotInOrganization" }] },
      exceptions: { attachmentSizeOver: "1k" },
    };
    const reason = expect.stringContaining("evaluated: exceptions.attachmentSizeOver:");
    expect(apply([spec], { mime: null }).deferReason).toEqual(reason);
    expect(apply([spec], { mime: null }, true).deferReason).toEqual(reason);
  });

  test("Ignore: not matched, and the trace says error", () => {
    const decision = apply([{ ...unknown, onError: "Ignore" }], { mime: { tooComplex: true } });
    expect(decision.outcome).toBe("done");
    expect(decision.copies.map(brief)).toEqual([{ to: ANN }]);
    expect(decision.trace).toMatchObject([{ outcome: "error", actions: [] }]);
  });

  test("a rule in Audit never makes a message wait", () => {
    expect(apply([{ ...unknown, mode: "Audit" }], { mime: null }).outcome).toBe("done");
  });

  test("an expired rule never makes a message wait", () => {
    const expired = { ...unknown, expiryDate: "2020-01-01T00:00:00Z" };
    expect(apply([expired], { mime: null, now: Date.parse("2021-01-01T00:00:00Z") }).outcome).toBe("done");
  });
});

describe("order", () => {
  const when = (conditions: object) => ({ conditions, actions: { setPriority: "High" } });
  const HIGH = [expect.objectContaining({ priority: "High" })];
  test.each([
    {
      name: "a later rule sees a header set",
      rules: [
        { actions: { setHeader: [{ name: "X-A", value: "red" }] } },
        when({ headerContainsWords: { header: "x-a", words: ["red"] } }),
      ],
      want: true,
    },
    {
      name: "a later rule sees that a header is gone",
      rules: [{ actions: { removeHeader: ["Subject"] } }, when({ headerExists: ["Subject"] })],
      want: false,
    },
    {
      name: "a later rule sees the subject's new beginning",
      rules: [
        { actions: { prependSubject: "Größe: " } },
        when({ subjectMatchesPatterns: ["^größe: hello$"] }),
      ],
      want: true,
    },
    {
      name: "a later rule sees the SCL",
      rules: [{ actions: { setScl: 9 } }, when({ sclOver: 9 })],
      want: true,
    },
    {
      name: "a later rule sees an added recipient",
      rules: [{ actions: { blindCopyTo: [EVE] } }, when({ anyOfRecipientAddressContainsWords: ["eve"] })],
      want: true,
    },
    {
      name: "a later rule sees the count of recipients",
      rules: [{ actions: { blindCopyTo: [EVE] } }, when({ recipientCountOver: 1 })],
      want: true,
    },
    {
      name: "a later rule sees an address added to To",
      rules: [{ actions: { addToRecipients: [EVE] } }, when({ anyOfToHeader: [EVE] })],
      want: true,
    },
    {
      name: "a later rule sees where the message was redirected",
      rules: [{ actions: { redirectMessageTo: [EVE] } }, when({ sentTo: [EVE] })],
      want: true,
    },
    {
      name: "a later rule does not see who was replaced",
      rules: [{ actions: { redirectMessageTo: [EVE] } }, when({ sentTo: [ANN] })],
      want: false,
    },
    {
      name: "an earlier rule does not see what a later one did",
      rules: [when({ sclOver: 9 }), { actions: { setScl: 9 } }],
      want: false,
    },
    {
      name: "after stopRuleProcessing no rule runs",
      rules: [{ actions: { setScl: 1 }, stopRuleProcessing: true }, when({ withImportance: "Normal" })],
      want: false,
    },
    {
      name: "a rule that does not match stops nothing",
      rules: [{ conditions: { sclOver: 9 }, stopRuleProcessing: true }, when({ withImportance: "Normal" })],
      want: true,
    },
    {
      name: "after a fate no rule runs",
      rules: [{ actions: { quarantine: true } }, when({ withImportance: "Normal" })],
      want: false,
    },
  ])("$name", ({ rules, want }) => {
    const found = apply(rules).copies;
    if (want) expect(found).toEqual(HIGH);
    else expect(found).not.toEqual(HIGH);
  });

  test("the same text is put before the subject by one rule only, also behind Re:", () => {
    const tag = { actions: { prependSubject: "[EXT] " } };
    expect(apply([tag, tag]).copies[0]?.edits).toHaveLength(1);
    expect(apply([tag], { header: "Subject: RE: Fwd: [EXT] x\n" }).copies[0]?.edits).toEqual([]);
  });
});

describe("Audit", () => {
  test("the trace says what would have been done, and nothing is done", () => {
    const decision = apply([
      { mode: "Audit", actions: { rejectMessage: {}, logEventText: "x" }, stopRuleProcessing: true },
      { actions: { setScl: 2 } },
    ]);
    expect(decision.trace[0]).toMatchObject({
      mode: "Audit",
      outcome: "matched",
      actions: ["logEventText", "rejectMessage", "stopRuleProcessing"],
    });
    expect(decision.copies.map(brief)).toEqual([{ to: ANN, stamps: { SCL: "2" } }]);
    expect(decision.logTexts).toEqual([]);
  });
});

describe("bifurcation", () => {
  test("the recipients that match are split off", () => {
    expect(copies([{ conditions: outside, actions: { prependSubject: "!" } }], both)).toEqual([
      { to: EVE, edits: [{ kind: "prependSubject", text: "!" }] },
      { to: ANN },
    ]);
  });

  test("a rejection hits those who match only", () => {
    expect(copies([{ conditions: outside, actions: { rejectMessage: {} } }], both)).toEqual([
      { to: EVE, fate: "reject" },
      { to: ANN },
    ]);
  });

  test("anyOfRecipient predicates hit everybody", () => {
    const rules = [{ conditions: { anyOfRecipientAddressContainsWords: ["eve"] }, actions: { setScl: 1 } }];
    expect(copies(rules, both)).toEqual([{ to: `${ANN} ${EVE}`, stamps: { SCL: "1" } }]);
  });

  test("anyOfRecipient predicates see the recipients of the other copies too", () => {
    const rules = [
      { conditions: outside, actions: { setPriority: "Low" } },
      {
        conditions: { anyOfRecipientAddressContainsWords: ["eve"], recipientCountOver: 1 },
        actions: { setScl: 1 },
      },
    ];
    expect(copies(rules, both)).toEqual([
      { to: EVE, priority: "Low", stamps: { SCL: "1" } },
      { to: ANN, stamps: { SCL: "1" } },
    ]);
  });

  test("nothing is split when nothing differs", () => {
    expect(copies([{ conditions: outside, actions: { logEventText: "x" } }], both)).toEqual([
      { to: `${EVE} ${ANN}` },
    ]);
  });

  test("copies that come out alike are one again", () => {
    const rules = [
      { conditions: outside, actions: { setScl: 1 } },
      { conditions: { sentToScope: "InOrganization" }, actions: { setScl: 1 } },
    ];
    expect(copies(rules, both)).toEqual([{ to: `${EVE} ${ANN}`, stamps: { SCL: "1" } }]);
  });

  test("an exception of recipients releases those recipients", () => {
    const rules = [{ exceptions: { sentTo: [ANN] }, actions: { deleteMessage: true } }];
    const decision = apply(rules, both);
    expect(decision.copies.map(brief)).toEqual([{ to: EVE, fate: "delete" }, { to: ANN }]);
    expect(decision.trace[0]?.recipients.map(({ address }) => address.localPart)).toEqual(["eve"]);
  });

  test("conditions and exceptions of recipients meet in each recipient", () => {
    const rules = [
      {
        conditions: { recipientDomainIs: ["contoso.example"] },
        exceptions: { sentTo: [BOB] },
        actions: { setScl: 5 },
      },
    ];
    expect(copies(rules, { to: [ANN, BOB, EVE] })).toEqual([
      { to: ANN, stamps: { SCL: "5" } },
      { to: `${BOB} ${EVE}` },
    ]);
  });

  test("anyOf may mix recipients and message", () => {
    const anyOf = [{ sentTo: [BOB] }, { subjectContainsWords: ["bye"] }];
    const rules = [{ conditions: { anyOf }, actions: { setScl: 5 } }];
    expect(copies(rules, { to: [ANN, BOB] })).toEqual([{ to: BOB, stamps: { SCL: "5" } }, { to: ANN }]);
  });

  test("stopRuleProcessing holds for those who matched", () => {
    const rules = [
      { conditions: outside, actions: { logEventText: "x" }, stopRuleProcessing: true },
      { actions: { setScl: 4 } },
    ];
    expect(copies(rules, both)).toEqual([{ to: EVE }, { to: ANN, stamps: { SCL: "4" } }]);
  });

  test("a blind copy of a message in two copies is sent once", () => {
    const rules = [
      { conditions: outside, actions: { prependSubject: "!" } },
      { actions: { blindCopyTo: [AUDIT] } },
    ];
    const added = apply(rules, both).copies.flatMap((copy) => copy.added);
    expect(added.map(({ address }) => address.localPart)).toEqual(["audit"]);
  });

  test("every recipient is in exactly one copy", () => {
    const rules = [
      { conditions: { recipientAddressMatchesPatterns: ["[02468]@"] }, actions: { setPriority: "Low" } },
      { conditions: { recipientAddressMatchesPatterns: ["[036]@|9@"] }, actions: { setScl: 1 } },
      { conditions: { sentToScope: "NotInOrganization" }, actions: { rejectMessage: {} } },
    ];
    const to = Array.from({ length: 1000 }, (_, n) => `u${n}@${n % 7 === 0 ? "x" : "contoso"}.example`);
    const found = apply(rules, { to }).copies;
    const all = found.flatMap(({ recipients }) => recipients.map(({ address }) => formatAddress(address)));
    expect(all.sort()).toEqual([...to].sort());
    expect(found.length).toBe(5);
  });
});

describe("trace", () => {
  test("rules that do not match are not traced, unless asked for", () => {
    const rules = [
      { conditions: { senderDomainIs: ["a.example"], subjectContainsWords: ["hello"] } },
      { expiryDate: "1960-01-01T00:00:00Z" },
      { exceptions: { fromScope: "NotInOrganization" } },
      { conditions: { subjectContainsWords: ["hello"] } },
    ];
    expect(apply(rules).trace.map((one) => one.rule)).toEqual(["r3", "r4"]);
    const all = apply(rules, {}, true).trace;
    expect(all.map((one) => one.outcome)).toEqual(["not-matched", "inactive", "excepted", "matched"]);
    expect(all[0]?.predicates).toEqual([
      { predicate: "senderDomainIs", result: "no", evidence: "" },
      { predicate: "subjectContainsWords", result: "yes", evidence: "hello" },
    ]);
    expect(all[2]?.predicates).toEqual([
      { predicate: "exceptions.fromScope", result: "yes", evidence: "NotInOrganization" },
    ]);
  });

  test("a rule tried on two copies is traced once, with all its recipients", () => {
    const rules = [{ conditions: outside, actions: { setScl: 1 } }, { actions: { setPriority: "Low" } }];
    const [, second] = apply(rules, both).trace;
    expect(second?.recipients.map(({ address }) => address.localPart).sort()).toEqual(["ann", "eve"]);
  });

  test("evidence is capped and is never more of the body than what matched", () => {
    const rules = [
      { conditions: { subjectOrBodyMatchesPatterns: ["s\\w+"], subjectOrBodyContainsWords: ["tail"] } },
    ];
    const text = `top s${"e".repeat(500)} tail`;
    const [first] = apply(rules, { mime: { text } }).trace;
    for (const { evidence } of first?.predicates ?? []) expect(evidence.length).toBeLessThanOrEqual(64);
  });
});

describe("hostile mail", () => {
  test.each(["(a+)+$", "(a|aa)+$", "(.*a){12}[^a]$", "(x+x+)+y", "^(a?){20}a{20}$"])(
    "%s finishes on a megabyte of its worst text",
    (pattern) => {
      const rules = [
        { conditions: { subjectOrBodyMatchesPatterns: [pattern] } },
        { conditions: { attachmentNameMatchesPatterns: [pattern] } },
      ];
      const worst = `${"a".repeat(1 << 20)}!`;
      const decision = apply(rules, { mime: { text: worst, parts: [part({ fileName: worst })] } });
      expect(decision.outcome).toBe("done");
    },
  );

  test("ten thousand recipients and a header of ten thousand fields finish", () => {
    const rules = [
      { conditions: { recipientAddressContainsWords: ["u77"] }, actions: { rejectMessage: {} } },
      { conditions: { anyOfToCcHeader: ["u5@x.example"] }, actions: { setScl: 5 } },
      { conditions: { recipientCountOver: 9000 }, actions: { prependSubject: "many: " } },
    ];
    const to = Array.from({ length: 10_000 }, (_, n) => `u${n}@x.example`);
    const header = to.map((address) => `To: ${address}\n`).join("");
    const decision = apply(rules, { to, header });
    expect(decision.copies.map((copy) => copy.recipients.length)).toEqual([1, 9999]);
  });

  test("a header of nonsense octets is no trouble", () => {
    const header = `From: =?x?q?=ff=?= <>,,;:@\n\nSubject: =?utf-8?b?////?= \ud800\n: x\n`;
    const rules = [{ conditions: { subjectContainsWords: ["x"], from: [ANN] } }];
    expect(apply(rules, { header }).outcome).toBe("done");
  });
});
