/** Facts about transport rules: each action, done to a message on its way through a whole transport. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseHeader } from "../../mail/header.ts";
import { scanMime } from "../../mail/mime.ts";
import { testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const HEAD = "apiVersion: postroom.dev/v1alpha1\nkind:";
const RELAY = BASIC.replace(
  "  tarpitInterval: 0s",
  "  tarpitInterval: 0s\n  permissionGroups: [AnonymousUsers, Relay]\n  remoteIPRanges: [127.0.0.1]",
);

let transport: TestTransport;
let secure: Sink;
let clear: Sink;

/** One rule for each subject: the subject is the rule's name. */
const RULES: Readonly<Record<string, string>> = {
  reject: "{rejectMessage: {enhancedStatusCode: 5.7.912, reasonText: Not in this house}}",
  delete: "{deleteMessage: true}",
  quarantine: "{quarantine: true}",
  redirect: "{redirectMessageTo: [audit@contoso.example]}",
  "add-recipient": "{addToRecipients: [bob@contoso.example]}",
  "copy-to": "{copyTo: [cc@elsewhere.example]}",
  "blind-copy": "{blindCopyTo: [bcc@elsewhere.example]}",
  "set-header": '{setHeader: [{name: X-Class, value: "Grün & geheim"}]}',
  "remove-header": "{removeHeader: [X-Old]}",
  prepend: '{prependSubject: "[EXTERN] "}',
  "by-connector": "{routeMessageOutboundConnector: special}",
  "require-tls": "{routeMessageOutboundRequireTls: true}",
  "spam-level": "{setScl: 7}",
  log: "{logEventText: Seen by the log rule}",
};
const SPAM =
  "---\napiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: zz-spam}\nspec:\n  priority: 9000\n  conditions: {sclOver: 6}\n  actions: {setHeader: [{name: X-Spam, value: yes-it-is}]}\n";

const hosts = (name: string, domain: string, sink: Sink) =>
  `---\n${HEAD} SendConnector\nmetadata: {name: ${name}}\nspec:\n  addressSpaces: [{domain: ${domain}}]\n  tls: {mode: None}\n  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n`;

beforeAll(async () => {
  secure = await startSink({
    certificate: await testCertificate("127.0.0.1"),
    extensions: ["REQUIRETLS", "8BITMIME"],
  });
  clear = await startSink();
  const rules = Object.entries(RULES).map(
    ([name, actions]) =>
      `${HEAD} TransportRule\nmetadata: {name: ${name}}\nspec:\n  conditions: {subjectMatchesPatterns: ["^${name}$"]}\n  actions: ${actions}\n`,
  );
  const special = `---\n${HEAD} SendConnector\nmetadata: {name: special}\nspec:\n  addressSpaces: [{domain: "*"}]\n  transportRuleScoped: true\n  routing: {type: Drop, directory: special}\n`;
  transport = await startTestTransport({
    manifests: {
      "all.yaml": `${RELAY}---${OUTSIDE}${special}${hosts("secure", "tls.example", secure)}${hosts("clear", "clear.example", clear)}`,
      "rules.yaml": rules.join("---\n") + SPAM,
    },
  });
});
afterAll(async () => {
  await transport.stop();
  await secure.close();
  await clear.close();
});

const send = async (subject: string, { to = ["ann@contoso.example"], more = "", body = "Hi.\r\n" } = {}) => {
  const client = await openDialogue({ port: transport.port() });
  const content = `From: eve@fabrikam.example\r\nTo: ann@contoso.example\r\nSubject: ${subject}\r\n${more}\r\n${body}`;
  expect(await client.send("eve@fabrikam.example", to, content)).toMatch(/^250/);
  client.close();
};

/** The one file in the drop folder that holds the text. */
const dropped = (directory: string, text: string) =>
  eventually(async () => (await transport.dropped(directory)).find((content) => content.includes(text)));

const eventsOf = async (rule: string) =>
  (await transport.events()).filter((event) => event.rule === `default/${rule}`);

describe("the action", () => {
  test("rejectMessage bounces with its own status and text", async () => {
    await send("reject");
    const report = await dropped("outside", "5.7.912");
    expect(report).toContain("X-Receiver: <eve@fabrikam.example>");
    expect(report).toContain("Not in this house");
  });

  test("deleteMessage drops without a report", async () => {
    await send("delete");
    await eventually(async () => (await transport.events()).some(({ event }) => event === "DROP"));
    expect((await transport.dropped("mailboxes")).some((text) => text.includes("Subject: delete"))).toBe(
      false,
    );
  });

  test("quarantine keeps it in the quarantine queue", async () => {
    await send("quarantine");
    await eventually(async () => (await transport.events()).some(({ queue }) => queue === "Quarantine"));
  });

  test("redirectMessageTo replaces the recipients", async () => {
    await send("redirect", { to: ["ann@contoso.example", "x@elsewhere.example"] });
    const copy = await dropped("mailboxes", "Subject: redirect");
    expect(copy.match(/X-Receiver: <[^>]*>/g)).toEqual(["X-Receiver: <audit@contoso.example>"]);
    expect((await transport.dropped("outside")).some((text) => text.includes("Subject: redirect"))).toBe(
      false,
    );
  });

  test("addToRecipients adds one, seen in the To field", async () => {
    await send("add-recipient");
    const copy = await dropped("mailboxes", "Subject: add-recipient");
    expect(copy).toContain("X-Receiver: <bob@contoso.example>");
    expect(copy).toMatch(/^To: ann@contoso\.example,\s+<bob@contoso\.example>/m);
  });

  test("copyTo adds one, seen in the Cc field", async () => {
    await send("copy-to");
    expect(await dropped("outside", "Subject: copy-to")).toMatch(/^Cc: <cc@elsewhere\.example>/m);
    expect(await dropped("mailboxes", "Subject: copy-to")).toMatch(/^Cc: <cc@elsewhere\.example>/m);
  });

  test("blindCopyTo adds one that no header names", async () => {
    await send("blind-copy");
    const copy = await dropped("outside", "Subject: blind-copy");
    expect(copy).toContain("X-Receiver: <bcc@elsewhere.example>");
    expect(copy.replace(/^X-Receiver: .*$/m, "")).not.toContain("bcc@");
    expect(await dropped("mailboxes", "Subject: blind-copy")).not.toContain("bcc@");
  });

  test("setHeader writes text beyond ASCII as an encoded word", async () => {
    await send("set-header", { more: "X-Class: old\r\n" });
    const copy = await dropped("mailboxes", "Subject: set-header");
    expect(copy.match(/^X-Class:.*$/gm)?.length).toBe(1);
    expect(copy).toMatch(/^X-Class: .*=\?utf-8\?/im);
  });

  test("removeHeader removes every field of the name", async () => {
    await send("remove-header", { more: "X-Old: 1\r\nX-Old: 2\r\nX-Kept: 3\r\n" });
    const copy = await dropped("mailboxes", "Subject: remove-header");
    expect(copy).not.toContain("X-Old");
    expect(copy).toContain("X-Kept: 3");
  });

  test("prependSubject puts its text before the subject", async () => {
    await send("prepend");
    expect(await dropped("mailboxes", "EXTERN")).toMatch(/^Subject: \[EXTERN\] prepend\r$/m);
  });

  test("routeMessageOutboundConnector sends it through a connector that only rules choose", async () => {
    await send("by-connector");
    expect(await dropped("special", "Subject: by-connector")).toContain("X-Receiver: <ann@contoso.example>");
  });

  test("routeMessageOutboundRequireTls raises a connector without TLS, and is no REQUIRETLS", async () => {
    await send("require-tls", { to: ["x@tls.example", "x@clear.example"] });
    await secure.messagesReach(1);
    expect(secure.messages[0]).toMatchObject({ tls: true });
    expect(secure.messages[0]?.parameters).not.toContain("REQUIRETLS");
    await eventually(async () =>
      (await transport.events()).some(
        ({ event, recipients }) => event === "DEFER" && String(recipients) === "x@clear.example",
      ),
    );
    expect(clear.messages).toEqual([]);
  });

  test("setScl is seen by later rules", async () => {
    await send("spam-level");
    expect(await dropped("mailboxes", "Subject: spam-level")).toContain("X-Spam: yes-it-is");
  });

  test("logEventText reaches the log and the trace", async () => {
    await send("log");
    await eventually(() => transport.logs.some(({ text }) => text === "Seen by the log rule"));
    const [event] = await eventually(async () => {
      const found = await eventsOf("log");
      return found.length > 0 ? found : undefined;
    });
    expect(event).toMatchObject({ event: "AGENTINFO", outcome: "matched", actions: ["logEventText"] });
  });
});

describe("applyHtmlDisclaimer", () => {
  const text = (content: string) => {
    const end = content.indexOf("\r\n\r\n");
    const header = parseHeader(content.slice(0, end + 2));
    return { header, body: Buffer.from(content.slice(end + 4), "latin1") };
  };
  const disclaimer = (more = "") =>
    `${HEAD} TransportRule\nmetadata: {name: legal}\nspec:\n  conditions: {subjectContainsWords: [legal]}\n  actions: {applyHtmlDisclaimer: {html: "<p>Grüße, Contoso &amp; Söhne</p>"${more}}}\n`;
  const base64 = (octets: string) =>
    Buffer.from(octets, "utf8").toString("base64").replace(/.{76}/g, "$&\r\n");
  const part = (type: string, content: string) =>
    `--b1\r\nContent-Type: ${type}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64(content)}\r\n`;

  test("stands in both parts of a multipart/alternative in base64 and utf-8, readable by a MIME parser", async () => {
    await transport.change("legal.yaml", disclaimer());
    const html = "<html><body><p>Schöne Grüße</p></body></html>";
    await send("legal one", {
      more: "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b1\r\n",
      body: `${part("text/plain", "Schöne Grüße\r\n")}${part("text/html", html)}--b1--\r\n`,
    });
    const { header, body } = text(await dropped("mailboxes", "Subject: legal one"));
    const summary = await scanMime(header, [body], { maxParts: 10, maxDepth: 5, maxText: 10_000 });
    expect(summary.text.match(/Grüße, Contoso & Söhne/g)?.length).toBe(2);
    expect(summary.text.match(/Schöne Grüße/g)?.length).toBe(2);
    const parts = body.toString("latin1").split("--b1");
    const decoded = parts.slice(1, 3).map((one) => {
      const [head = "", content = ""] = one.split(/\r\n\r\n/);
      expect(head).toMatch(/charset="?utf-8/i);
      expect(head).toMatch(/Content-Transfer-Encoding: base64/i);
      return Buffer.from(content, "base64").toString("utf8");
    });
    expect(decoded[0]).toMatch(/^Schöne Grüße\r\n[\s\S]*Grüße, Contoso & Söhne/);
    expect(decoded[1]).toMatch(/<p>Schöne Grüße<\/p>[\s\S]*<p>Grüße, Contoso[^<]*Söhne<\/p>[\s\S]*<\/body>/);
  });

  test("wraps a signed message, whose octets stay what they were", async () => {
    await transport.change("legal.yaml", disclaimer());
    const signed =
      "--s\r\nContent-Type: text/plain\r\n\r\nSigned text.\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n";
    await send("legal signed", {
      more: "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s; protocol=application/pgp-signature\r\n",
      body: signed,
    });
    const copy = await dropped("mailboxes", "Subject: legal signed");
    expect(copy).toContain("Content-Type: message/rfc822");
    expect(copy).toContain(signed);
  });

  test("with fallbackAction Reject bounces a signed message", async () => {
    await transport.change("legal.yaml", disclaimer(", fallbackAction: Reject"));
    await send("legal refused", {
      more: "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s; protocol=application/pgp-signature\r\n",
      body: "--s\r\n\r\nSigned.\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nabc\r\n--s--\r\n",
    });
    expect(await dropped("outside", "Subject: legal refused")).toMatch(/Status: 5\.7\.1/);
  });
});
