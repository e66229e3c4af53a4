import { describe, expect, test } from "vitest";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { parsePathArgument } from "./command.ts";
import { extensionLines, type Offer, offerOf } from "./ehlo.ts";
import { readMailParameters, readRcptParameters } from "./parameters.ts";

const TLS = { extended: true, isTls: true, isAuthenticated: false, hasCertificate: true };
const connector = receiveConnector({ maxMessageSize: 1000, authMechanisms: ["Tls", "BasicAuthRequireTLS"] });
const full = offerOf(connector, TLS);

function mail(text: string, offer: Offer = full) {
  const read = readMailParameters(parsePathArgument("FROM", `FROM:<> ${text}`)?.parameters ?? [], offer);
  return "refusal" in read ? read.refusal.code : read.value;
}

function rcpt(text: string, offer: Offer = full) {
  const read = readRcptParameters(parsePathArgument("TO", `TO:<a@b> ${text}`)?.parameters ?? [], offer);
  return "refusal" in read ? read.refusal.code : read.value;
}

describe("readMailParameters()", () => {
  test.each([
    { name: "SIZE is declared", text: "SIZE=1000", want: { declaredSize: 1000 } },
    { name: "BODY in any case", text: "body=8bitmime", want: { bodyType: "8BITMIME" } },
    { name: "BODY=BINARYMIME", text: "BODY=BINARYMIME", want: { bodyType: "BINARYMIME" } },
    { name: "SMTPUTF8", text: "SMTPUTF8", want: { smtpUtf8: true } },
    { name: "REQUIRETLS", text: "REQUIRETLS", want: { requireTls: true } },
    { name: "RET", text: "RET=hdrs", want: { ret: "HDRS" } },
    { name: "ENVID is decoded", text: "ENVID=a+2Bb", want: { envid: "a+b" } },
    { name: "AUTH is accepted and means nothing", text: "AUTH=<>", want: { bodyType: "7BIT" } },
  ])("$name", ({ text, want }) => {
    expect(mail(text)).toMatchObject(want);
  });

  test.each([
    { name: "a size beyond the limit", text: "SIZE=1001", want: 552 },
    { name: "a size beyond every number", text: `SIZE=${"9".repeat(20)}`, want: 552 },
    { name: "a size that is none", text: "SIZE=-1", want: 501 },
    { name: "SIZE without a value", text: "SIZE", want: 501 },
    { name: "an unknown parameter", text: "FOO=bar", want: 555 },
    { name: "a parameter named as a property of every object", text: "CONSTRUCTOR", want: 555 },
    { name: "a repeated parameter", text: "SIZE=1 SIZE=1", want: 501 },
    { name: "an unknown body", text: "BODY=9BIT", want: 501 },
    { name: "SMTPUTF8 with a value", text: "SMTPUTF8=1", want: 501 },
    { name: "RET with another word", text: "RET=ALL", want: 501 },
    { name: "an ENVID of broken xtext", text: "ENVID=a+2", want: 501 },
    { name: "an ENVID that hides a line end", text: "ENVID=a+0D+0Ab", want: 501 },
    { name: "an ENVID of over 100 characters", text: `ENVID=${"a".repeat(101)}`, want: 501 },
    { name: "AUTH that is no xtext", text: "AUTH=+", want: 501 },
  ])("$name is refused", ({ text, want }) => {
    expect(mail(text)).toBe(want);
  });

  test.each([
    { name: "nothing after HELO", text: "SIZE=1", offer: { ...full, extended: false }, want: 555 },
    { name: "no SMTPUTF8 when it is off", text: "SMTPUTF8", offer: { ...full, smtpUtf8: false }, want: 555 },
    {
      name: "no BINARYMIME when it is off",
      text: "BODY=BINARYMIME",
      offer: { ...full, binaryMime: false },
      want: 555,
    },
    {
      name: "no 8BITMIME when it is off",
      text: "BODY=8BITMIME",
      offer: { ...full, eightBitMime: false },
      want: 555,
    },
    { name: "no RET when DSN is off", text: "RET=FULL", offer: { ...full, dsn: false }, want: 555 },
    { name: "no ENVID when DSN is off", text: "ENVID=a", offer: { ...full, dsn: false }, want: 555 },
    { name: "no REQUIRETLS in clear", text: "REQUIRETLS", offer: { ...full, requireTls: false }, want: 530 },
    { name: "no AUTH when it is not offered", text: "AUTH=<>", offer: { ...full, auth: false }, want: 555 },
  ])("$name", ({ text, offer, want }) => {
    expect(mail(text, offer)).toBe(want);
  });
});

describe("readRcptParameters()", () => {
  test.each([
    { name: "NOTIFY", text: "NOTIFY=success,DELAY", want: { notify: ["SUCCESS", "DELAY"] } },
    { name: "NOTIFY=NEVER", text: "NOTIFY=NEVER", want: { notify: ["NEVER"] } },
    { name: "ORCPT is decoded", text: "ORCPT=rfc822;a+2Bb@c", want: { orcpt: "rfc822;a+b@c" } },
    { name: "NEVER with another", text: "NOTIFY=NEVER,DELAY", want: 501 },
    { name: "NOTIFY twice the same", text: "NOTIFY=DELAY,DELAY", want: 501 },
    { name: "NOTIFY of nothing", text: "NOTIFY", want: 501 },
    { name: "ORCPT without a type", text: "ORCPT=a@c", want: 501 },
    { name: "ORCPT that hides a line end", text: "ORCPT=rfc822;a+0A", want: 501 },
    { name: "ORCPT beyond 500 characters", text: `ORCPT=rfc822;${"a".repeat(500)}`, want: 501 },
    { name: "a parameter of MAIL", text: "SIZE=1", want: 555 },
  ])("$name", ({ text, want }) => {
    const got = rcpt(text);
    if (typeof want === "number") expect(got).toBe(want);
    else expect(got).toEqual(want);
  });

  test("ORCPT holds UTF-8 only in an SMTPUTF8 transaction", () => {
    expect(rcpt("ORCPT=utf-8;jörg@x")).toEqual({ orcpt: "utf-8;jörg@x" });
    expect(rcpt("ORCPT=utf-8;jörg@x", { ...full, smtpUtf8: false })).toBe(501);
  });
});

describe("extensionLines()", () => {
  const clear = { ...TLS, isTls: false };
  test.each([
    { name: "STARTTLS in clear, with a certificate", state: clear, has: "STARTTLS", not: "REQUIRETLS" },
    { name: "no AUTH in clear", state: clear, has: "PIPELINING", not: "AUTH PLAIN LOGIN" },
    {
      name: "no STARTTLS without a certificate",
      state: { ...clear, hasCertificate: false },
      has: "SIZE 1000",
      not: "STARTTLS",
    },
    { name: "AUTH and REQUIRETLS under TLS", state: TLS, has: "AUTH PLAIN LOGIN", not: "STARTTLS" },
    {
      name: "no AUTH once authenticated",
      state: { ...TLS, isAuthenticated: true },
      has: "REQUIRETLS",
      not: "AUTH PLAIN LOGIN",
    },
  ])("$name", ({ state, has, not }) => {
    const lines = extensionLines(offerOf(connector, state), connector);
    expect(lines).toContain(has);
    expect(lines).not.toContain(not);
  });

  test("each state of each connector has lines of its own, however often it is asked", () => {
    const other = receiveConnector({ maxMessageSize: connector.maxMessageSize + 1 });
    const ask = () =>
      [connector, other].flatMap((one) =>
        [TLS, clear].map((state) => extensionLines(offerOf(one, state), one).join()),
      );
    expect(new Set(ask()).size).toBe(4);
    expect(ask()).toEqual(ask());
  });

  test("what a connector turns off is not offered, and LIMITS names its limits", () => {
    const spare = receiveConnector({
      ...{ eightBitMimeEnabled: false, smtpUtf8Enabled: false, chunkingEnabled: false },
      ...{
        deliveryStatusNotificationEnabled: false,
        maxMessagesPerConnection: 3,
        maxRecipientsPerMessage: 7,
      },
    });
    expect(extensionLines(offerOf(spare, { ...TLS, isTls: false, hasCertificate: false }), spare)).toEqual([
      "PIPELINING",
      `SIZE ${spare.maxMessageSize}`,
      "ENHANCEDSTATUSCODES",
      "LIMITS MAILMAX=3 RCPTMAX=7",
    ]);
  });
});
