import { describe, expect, test } from "vitest";
import { parseHeader } from "./header.ts";
import { formatDate, hopCount, type ReceivedInput, receivedField } from "./received.ts";

const ann = { localPart: "ann", domain: "contoso.example" };
const input: ReceivedInput = {
  helo: "client.example",
  clientAddress: "192.0.2.1",
  hostname: "mx.contoso.example",
  extended: true,
  authenticated: false,
  smtpUtf8: false,
  tls: undefined,
  id: "ABC123",
  recipients: [ann],
  receivedAt: Date.UTC(2026, 10, 1, 9, 5, 7),
};

describe("receivedField()", () => {
  test("says from, by, with, id, for and when", () => {
    expect(receivedField(input).raw).toBe(
      "Received: from client.example ([192.0.2.1])\r\n" +
        " by mx.contoso.example (Postroom) with ESMTP id ABC123\r\n" +
        " for <ann@contoso.example>; Sun, 01 Nov 2026 09:05:07 +0000\r\n",
    );
  });

  test("for several recipients names none, and keeps its lines short", () => {
    const id = "0MWQZZ2FX0000SMJ2KK";
    const { raw } = receivedField({ ...input, id, recipients: [ann, { ...ann, localPart: "bob" }] });
    expect(raw).toMatch(/ id 0MWQZZ2FX0000SMJ2KK;\r\n Sun, 01 Nov 2026 09:05:07 \+0000\r\n$/);
    expect(Math.max(...raw.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(78);
  });

  test.each([
    { name: "HELO is SMTP", change: { extended: false }, want: "with SMTP id" },
    {
      name: "TLS adds S and the cipher",
      change: { tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" } },
      want: "with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id",
    },
    {
      name: "TLS and AUTH add SA",
      change: { tls: { protocol: "a", cipher: "b" }, authenticated: true },
      want: "with ESMTPSA (a b) id",
    },
    { name: "AUTH alone adds A", change: { authenticated: true }, want: "with ESMTPA id" },
    {
      name: "SMTPUTF8 changes the word",
      change: { smtpUtf8: true, authenticated: true },
      want: "with UTF8SMTPA id",
    },
    { name: "IPv6 is tagged", change: { clientAddress: "2001:db8::1" }, want: "([IPv6:2001:db8::1])" },
    { name: "no client is local", change: { clientAddress: "" }, want: "(local)" },
    { name: "a missing HELO is unknown", change: { helo: "" }, want: "from unknown (" },
    {
      name: "a hostile HELO stays on its line",
      change: { helo: "a\r\nBcc: b (c) <d>" },
      want: "from a??Bcc:?b??c???d? (",
    },
    {
      name: "a UTF-8 recipient is written as octets",
      change: { recipients: [{ localPart: "ü", domain: "x.example" }] },
      want: "for <\xc3\xbc@x.example>;",
    },
  ])("$name", ({ change, want }) => {
    const field = receivedField({ ...input, ...change });
    expect(field.raw).toContain(want);
    expect(parseHeader(field.raw)).toEqual([field]);
  });

  test.each([{ recipients: [] }, { recipients: [ann, ann] }])(
    "none or several recipients are not shown",
    (change) => {
      expect(receivedField({ ...input, ...change }).raw).not.toContain("for");
    },
  );
});

test("hops are counted without case, and only they", () => {
  expect(hopCount(parseHeader("Received: a\r\nreceived: b\r\nReceived-SPF: c\r\nX: d\r\n"))).toBe(2);
});

test("dates have the form of RFC 5322", () => {
  expect(formatDate(0)).toBe("Thu, 01 Jan 1970 00:00:00 +0000");
});
