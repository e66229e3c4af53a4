/** Facts about changes of configuration while sessions are open. */
import { readdir, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

const SECOND = `
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: second}
spec: {bindings: [{address: 127.0.0.2, port: 0}]}
`;

describe("a change of manifests", () => {
  test("is in force for the next transaction of an open session", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const client = await openDialogue({ port: transport.port() });
    expect(await client.say("MAIL FROM:<eve@fabrikam.example>")).toMatch(/^250/);
    await transport.change(
      "more.yaml",
      "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: more}\nspec: {domains: [more.example]}\n",
    );
    expect(await client.say("RSET")).toMatch(/^250/);
    expect(await client.say("MAIL FROM:<eve@fabrikam.example>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<x@more.example>")).toMatch(/^250/);
    client.close();
  });

  test("opens and closes listeners, and leaves the others and their sessions alone", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const client = await openDialogue({ port: transport.port() });
    const first = transport.port();
    await transport.change("second.yaml", SECOND);
    const t = transport;
    const second = await eventually(() =>
      [0, 1].map((n) => t.port(n)).find((port) => port !== 0 && port !== first),
    );
    const other = await openDialogue({ port: second, host: "127.0.0.2" });
    other.close();
    await unlink(join(transport.manifests, "second.yaml"));
    await eventually(() => refuses("127.0.0.2", second));
    expect(await client.say("NOOP")).toMatch(/^250/);
    client.close();
  });

  test("that is broken leaves the last good form in force, and says file, line and field", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC, "outside.yaml": OUTSIDE } });
    const t = transport;
    await t.change("all.yaml", BASIC.replace("domains: [contoso.example]", "domain: [contoso.example]"));
    expect(t.logs.some(({ msg }) => /all\.yaml:\d+ spec\.domain: unknown field/.test(String(msg)))).toBe(
      true,
    );
    const client = await openDialogue({ port: t.port() });
    expect(
      await client.send("eve@fabrikam.example", ["ann@contoso.example"], "Subject: x\r\n\r\nx\r\n"),
    ).toMatch(/^250/);
    client.close();
  });

  test("that breaks the YAML of a whole file keeps every object of it", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC, "outside.yaml": OUTSIDE } });
    const t = transport;
    await t.change("outside.yaml", "kind: [unclosed\n");
    const client = await openDialogue({ port: t.port() });
    expect(
      await client.send("eve@fabrikam.example", ["ann@contoso.example"], "Subject: x\r\n\r\nx\r\n"),
    ).toMatch(/^250/);
    client.close();
    await eventually(async () => (await t.dropped("mailboxes")).length === 1);
    expect(await readdir(t.manifests)).toContain("outside.yaml");
  });

  test("that asks for replicas is told that a standalone transport is one process, once", async () => {
    const more = BASIC.replace(
      "{hostname: mx.contoso.example}",
      "{hostname: mx.contoso.example, replicas: 3}",
    );
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const t = transport;
    await t.change("all.yaml", more);
    await t.change("outside.yaml", OUTSIDE);
    const told = t.logs.filter(({ field }) => field === "spec.replicas");
    expect(told).toMatchObject([{ object: "MailTransport/default/hub", reason: "Standalone" }]);
  });

  test("survives a restart with a broken file: the last good snapshot is on disk", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const t = transport;
    await t.change("all.yaml", BASIC.replace("type: Drop", "type: Nowhere"));
    await t.restart();
    const client = await openDialogue({ port: t.port() });
    expect(
      await client.send("eve@fabrikam.example", ["ann@contoso.example"], "Subject: x\r\n\r\nx\r\n"),
    ).toMatch(/^250/);
    client.close();
    await eventually(async () => (await t.dropped("mailboxes")).length === 1);
  });
});

function refuses(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
