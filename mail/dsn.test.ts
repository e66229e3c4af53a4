import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { composeDsn, type DsnInput, type DsnRecipient } from "./dsn.ts";
import { dsnSubject, statusMeaning } from "./dsn-text.ts";
import { decodeHeaderText } from "./encoded-word.ts";
import { formatHeader, headerValues, parseHeader } from "./header.ts";
import type { Recipient } from "./message.ts";
import { scanMime } from "./mime.ts";

const address = (text: string) => parseAddress(text)!;
const recipient = (text: string, more: Partial<Recipient> = {}): Recipient => ({
  address: address(text),
  original: address(text),
  ...more,
});
const bob: DsnRecipient = {
  recipient: recipient("bob@fabrikam.example", { orcpt: "rfc822;bob@fabrikam.example" }),
  status: "5.1.1",
  text: "550 5.1.1 No such user here",
  remoteMta: "mx.fabrikam.example",
  lastAttemptAt: Date.UTC(2026, 10, 21, 12, 0, 1),
};
const header = parseHeader(
  "From: ann@contoso.example\r\nSubject: Lunch\r\nMessage-ID: <m1@contoso.example>\r\n",
);
const input: DsnInput = {
  kind: "failed",
  hostname: "mx.contoso.example",
  id: "D1",
  now: Date.UTC(2026, 10, 21, 12, 0, 2),
  to: address("ann@contoso.example"),
  recipients: [bob],
  original: {
    envelope: { smtpUtf8: false, ret: undefined, envid: "E-1" },
    receivedAt: Date.UTC(2026, 10, 21, 12, 0, 0),
    header,
    body: Buffer.from("Shall we?\r\n"),
  },
  maxOriginalSize: 10_000,
};
const change = (original: Partial<DsnInput["original"]>, more: Partial<DsnInput> = {}): DsnInput => ({
  ...input,
  ...more,
  original: { ...input.original, ...original },
});
const bodyText = (dsn: { body: Uint8Array }) => Buffer.from(dsn.body).toString("latin1");

describe("composeDsn()", () => {
  test("a failure, octet for octet", () => {
    const dsn = composeDsn(input);
    expect(`${formatHeader(dsn.header)}\r\n${bodyText(dsn)}`.replaceAll("\r\n", "\n")).toBe(`\
From: "Mail Delivery System" <postmaster@mx.contoso.example>
To: <ann@contoso.example>
Subject: Undeliverable: Lunch
Date: Sat, 21 Nov 2026 12:00:02 +0000
Message-ID: <D1@mx.contoso.example>
In-Reply-To: <m1@contoso.example>
References: <m1@contoso.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="dsn-D1-0"

--dsn-D1-0
Content-Type: text/plain; charset=us-ascii

This is the mail system at mx.contoso.example.

Your message could not be delivered to:

  bob@fabrikam.example
    There is no such address at the destination.
    mx.fabrikam.example answered: 550 5.1.1 No such user here

Please correct the cause and send the message again, or ask your postmaster.

--dsn-D1-0
Content-Type: message/delivery-status

Original-Envelope-Id: E-1
Reporting-MTA: dns; mx.contoso.example
Arrival-Date: Sat, 21 Nov 2026 12:00:00 +0000

Original-Recipient: rfc822;bob@fabrikam.example
Final-Recipient: rfc822;bob@fabrikam.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.fabrikam.example
Diagnostic-Code: smtp; 550 5.1.1 No such user here
Last-Attempt-Date: Sat, 21 Nov 2026 12:00:01 +0000

--dsn-D1-0
Content-Type: message/rfc822

From: ann@contoso.example
Subject: Lunch
Message-ID: <m1@contoso.example>

Shall we?

--dsn-D1-0--
`);
    expect(dsn).toMatchObject({ bodyType: "7BIT", smtpUtf8: false });
  });

  test.each([
    {
      name: "a delay says until when",
      use: { kind: "delayed", recipients: [{ ...bob, status: "4.4.1", willRetryUntil: 0 + 864e5 }] },
      want: [
        "Action: delayed",
        "Status: 4.4.1",
        "Will-Retry-Until: Fri, 02 Jan 1970",
        "until Fri, 02 Jan",
        "do not need to send",
      ],
    },
    {
      name: "a delivery is told",
      use: { kind: "delivered", recipients: [{ ...bob, status: "2.0.0" }] },
      want: ["Action: delivered", "was delivered to:", "text/rfc822-headers"],
    },
    {
      name: "a relay is told",
      use: { kind: "relayed" },
      want: ["Action: relayed", "does not confirm delivery"],
    },
    {
      name: "an expansion is told",
      use: { kind: "expanded", recipients: [{ ...bob, status: "x" }] },
      want: ["Action: expanded", "Status: 2.0.0"],
    },
    {
      name: "a host that said nothing answered nothing",
      use: { recipients: [{ ...bob, status: "4.4.2", text: "connection closed" }] },
      want: ["Remote-MTA: dns; mx.fabrikam.example", "    mx.fabrikam.example: connection closed"],
    },
    {
      name: "a transient failure that became final says so",
      use: { recipients: [{ ...bob, status: "4.2.2", text: "452 4.2.2 Mailbox full" }] },
      want: ["answered: 452 4.2.2 Mailbox full", "    It was tried until the message expired."],
    },
    {
      name: "a host without a name is a domain literal (RFC 3464 §2.2.2)",
      use: { recipients: [{ ...bob, remoteMta: "192.0.2.1" }] },
      want: ["Remote-MTA: dns; [192.0.2.1]", "    [192.0.2.1] answered: 550 5.1.1"],
    },
    {
      name: "a host with an IPv6 address only is a domain literal",
      use: { recipients: [{ ...bob, remoteMta: "2001:db8::1" }] },
      want: ["Remote-MTA: dns; [IPv6:2001:db8::1]"],
    },
    {
      name: "our own reason is no SMTP reply",
      use: { recipients: [{ ...bob, remoteMta: "", text: "Expired" }] },
      want: ["Diagnostic-Code: X-Postroom; Expired", "    Expired"],
    },
    {
      name: "an address that was rewritten is named",
      use: { recipients: [{ ...bob, recipient: { ...bob.recipient, original: address("b@x.example") } }] },
      want: ["bob@fabrikam.example (written to as b@x.example)"],
    },
    {
      name: "an ORCPT without type is left out",
      use: { recipients: [{ ...bob, recipient: recipient("a@x.example", { orcpt: "a@x" }) }] },
      want: ["\r\n\r\nFinal-Recipient"],
    },
    {
      name: "a subject of encoded words stays readable",
      use: change({ header: parseHeader("Subject: =?iso-8859-1?q?gr=FCn?=\r\n") }),
      want: [],
    },
  ] as { name: string; use: Partial<DsnInput>; want: string[] }[])("$name", ({ use, want }) => {
    const dsn = composeDsn({ ...input, ...use });
    for (const text of want) expect(bodyText(dsn)).toContain(text);
    expect(formatHeader(dsn.header)).toMatch(/^[\x20-\x7e\r\n]*$/);
  });

  test("a delay is not told as if the time were over", () => {
    const late = { ...bob, status: "4.4.7", text: "connection refused", remoteMta: "" };
    const text = bodyText(composeDsn({ ...input, kind: "delayed", recipients: [late] }));
    expect(text).toContain("    connection refused");
    expect(text).not.toContain("in time");
  });

  test("every recipient has its own group", async () => {
    const carl = { ...bob, recipient: recipient("carl@x.example"), status: "5.2.2", text: "" };
    const text = bodyText(composeDsn({ ...input, recipients: [bob, carl] }));
    expect(text.match(/\r\n\r\n(?:Original|Final)-Recipient:/g)).toHaveLength(2);
    expect(text).toContain("The mailbox is full.");
    expect(text).not.toContain("Original-Recipient: rfc822;carl");
  });

  test.each([
    { name: "RET=FULL and no wish return the message", original: {}, want: "message/rfc822" },
    {
      name: "RET=HDRS returns the header",
      original: { envelope: { smtpUtf8: false, ret: "HDRS" } },
      want: "text/rfc822-headers",
    },
    {
      name: "a large message returns the header",
      original: { body: Buffer.alloc(20_000, "a\r\n") },
      want: "text/rfc822-headers",
    },
    { name: "a missing body returns the header", original: { body: undefined }, want: "text/rfc822-headers" },
    {
      name: "a binary body returns the header",
      original: { body: Buffer.from("a\0b") },
      want: "text/rfc822-headers",
    },
  ] as { name: string; original: Partial<DsnInput["original"]>; want: string }[])(
    "$name",
    async ({ original, want }) => {
      const dsn = composeDsn(change(original));
      const { parts, contentType } = await scanMime(dsn.header, [dsn.body], {
        maxParts: 20,
        maxDepth: 5,
        maxText: 0,
      });
      expect(contentType).toBe("multipart/report");
      expect(parts.filter(({ path }) => !path.includes(".")).map((part) => part.contentType)).toEqual([
        "text/plain",
        "message/delivery-status",
        want,
      ]);
    },
  );

  test("an 8-bit original makes an 8-bit notice, declared at every level", () => {
    const dsn = composeDsn(change({ body: Buffer.from("\xfc\r\n", "latin1") }));
    expect(dsn.bodyType).toBe("8BITMIME");
    expect(headerValues(dsn.header, "Content-Transfer-Encoding")).toEqual(["8bit"]);
    expect(bodyText(dsn)).toContain("message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nFrom");
  });

  test("an internationalized message is reported as RFC 6533 says", () => {
    const utf8 = recipient("grün@fabrikam.example", { orcpt: "utf-8;grün@fabrikam.example" });
    const dsn = composeDsn(
      change(
        { envelope: { smtpUtf8: true }, header: parseHeader("Subject: \xc3\xbc\r\n") },
        { to: address("änn@contoso.example"), recipients: [{ ...bob, recipient: utf8 }] },
      ),
    );
    const text = Buffer.from(dsn.body).toString();
    expect(dsn.smtpUtf8).toBe(true);
    expect(text).toContain("message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit");
    expect(text).toContain("Final-Recipient: utf-8;grün@fabrikam.example\r\n");
    expect(text).toContain("Content-Type: message/global\r\n");
    expect(formatHeader(dsn.header)).toContain("report-type=global-delivery-status");
    expect(headerValues(dsn.header, "to").map(decodeHeaderText)).toEqual(["<änn@contoso.example>"]);
  });

  test("without RFC 6533 a UTF-8 address is written in ASCII", () => {
    const utf8 = recipient("grün@x.example", { orcpt: "utf-8;grün@x.example" });
    const text = bodyText(composeDsn({ ...input, recipients: [{ ...bob, recipient: utf8 }] }));
    expect(text).toContain("Original-Recipient: utf-8;gr\\x{FC}n@x.example");
    expect(text).toContain("Final-Recipient: utf-8;gr\\x{FC}n@x.example");
  });

  test("an original that holds the boundary gets another one", () => {
    const dsn = composeDsn(change({ body: Buffer.from("--dsn-D1-0\r\n--dsn-D1-1--\r\n") }));
    expect(formatHeader(dsn.header)).toContain('boundary="dsn-D1-2"');
  });

  test("hostile text adds neither fields nor parts", async () => {
    const hostile = fc.string({
      unit: fc.constantFrom("\r\n", "\n", "\0", "--dsn-D1-0", "A: b", " ", "é", "\u010a", "x".repeat(600)),
    });
    await fc.assert(
      fc.asyncProperty(hostile, hostile, fc.boolean(), async (text, other, smtpUtf8) => {
        const dsn = composeDsn(
          change(
            { envelope: { smtpUtf8, envid: text }, body: undefined, header: [] },
            {
              recipients: [
                {
                  ...bob,
                  text,
                  remoteMta: other,
                  recipient: recipient("a@b.example", { orcpt: `rfc822;${other}` }),
                },
              ],
            },
          ),
        );
        const { parts } = await scanMime(dsn.header, [dsn.body], { maxParts: 20, maxDepth: 5, maxText: 0 });
        expect(parts).toHaveLength(3);
        const status = bodyText(dsn).split("delivery-status\r\n")[1]!.split("\r\n--dsn")[0]!;
        for (const line of status.split("\r\n"))
          expect(line).toMatch(/^(?:[A-Z][A-Za-z-]+: |[ \t]+[^ \t]|$)/);
        expect(status.match(/^[A-Za-z-]+:/gm)?.filter((name) => name === "A:")).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

test("subjects are short, meanings fall back to their class", () => {
  expect(dsnSubject("failed", "x".repeat(500))).toHaveLength(215);
  expect(dsnSubject("delayed", "")).toBe("Delivery delayed");
  expect(statusMeaning("4.4.7")).toBe("The message could not be delivered in time.");
  expect(statusMeaning("5.7.99")).toBe("The message was refused for reasons of security or policy.");
  expect(statusMeaning("5.0.0")).toBeUndefined();
});
