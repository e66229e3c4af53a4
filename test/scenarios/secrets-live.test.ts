/** Facts about changes of Secrets and connectors while mail waits or sessions are open. */
import { performance } from "node:perf_hooks";
import { connect } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import { systemResolver } from "../../transport/delivery/mod.ts";
import { testAuthority, testCertificate } from "../helpers/certificate.ts";
import { startDns } from "../helpers/dns-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

const HEAD = "apiVersion: postroom.dev/v1alpha1\nkind:";
const open: { close(): Promise<void> }[] = [];
let transport: TestTransport;
afterEach(async () => {
  await transport.stop();
  for (const one of open.splice(0)) await one.close();
});

const sinkOf = async (options: Parameters<typeof startSink>[0]): Promise<Sink> => {
  const sink = await startSink(options);
  open.push(sink);
  return sink;
};

const secret = (name: string, data: Readonly<Record<string, string>>) =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\nstringData: ${JSON.stringify(data)}\n`;
const pairSecret = ({ cert, key }: CertificateAndKey) =>
  secret("mx-tls", { "tls.crt": cert, "tls.key": key });

const TLS_DOOR = BASIC.replace(
  "  tarpitInterval: 0s",
  "  tarpitInterval: 0s\n  permissionGroups: [AnonymousUsers, AuthenticatedUsers]\n  authMechanisms: [Tls, BasicAuth]\n  credentialsRef: {name: users}\n  tls: {mode: Implicit, certificateRefs: [{name: mx-tls}]}",
);

/** Common name of the certificate that a new connection is shown. */
const certificateName = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.on("error", reject);
  });

const login = async (port: number, password: string) => {
  const client = await openDialogue({ port, tls: true });
  const answer = await client.say(`AUTH PLAIN ${Buffer.from(`\0ann\0${password}`).toString("base64")}`);
  client.close();
  return answer.slice(0, 3);
};

const sendTo = async (recipient: string) => {
  const client = await openDialogue({ port: transport.port() });
  expect(await client.send("eve@fabrikam.example", [recipient], "Subject: x\r\n\r\nx\r\n")).toMatch(/^250/);
  client.close();
};

const smartHost = (port: number, more: string) =>
  BASIC.replace(
    "routing: {type: Drop, directory: mailboxes}",
    `routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${port}}]}\n${more}`,
  );

describe("a changed Secret", () => {
  test("is in force soon: certificate and password, and no open session is closed", async () => {
    const [one, two] = [await testCertificate("one.test"), await testCertificate("two.test")];
    transport = await startTestTransport({
      manifests: {
        "all.yaml": TLS_DOOR,
        "tls.yaml": pairSecret(one),
        "users.yaml": secret("users", { users: "ann:first" }),
      },
    });
    const port = transport.port();
    expect(await certificateName(port)).toBe("one.test");
    expect(await login(port, "first")).toBe("235");
    const stays = await openDialogue({ port, tls: true });
    expect(await stays.say("MAIL FROM:<eve@fabrikam.example>")).toMatch(/^250/);
    const start = performance.now();
    await transport.change("tls.yaml", pairSecret(two));
    expect(await certificateName(port)).toBe("two.test");
    await transport.change("users.yaml", secret("users", { users: "ann:second" }));
    expect(await login(port, "second")).toBe("235");
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(await login(port, "first")).toBe("535");
    expect(await stays.say("RCPT TO:<ann@contoso.example>")).toMatch(/^250/);
    stays.close();
  });

  test("of a next hop has its waiting mail tried at once", async () => {
    const sink = await sinkOf({ users: { hub: "hunter-two" } });
    const auth = "  tls: {mode: None}\n  auth: {secretRef: {name: relay}, allowInsecure: true}\n";
    transport = await startTestTransport({
      manifests: {
        "all.yaml": smartHost(sink.port, auth),
        "relay.yaml": secret("relay", { username: "hub", password: "hunter-one" }),
      },
    });
    await sendTo("ann@contoso.example");
    await eventually(async () => (await transport.events()).some(({ event }) => event === "DEFER"));
    await transport.change("relay.yaml", secret("relay", { username: "hub", password: "hunter-two" }));
    // Less than the minute after which it is tried anyway.
    await sink.messagesReach(1, 30_000);
    expect(sink.messages[0]?.user).toBe("hub");
    expect(JSON.stringify(transport.logs)).not.toMatch(/hunter/);
  });

  test("with another authority has VerifyName trust it", async () => {
    const sink = await sinkOf({ certificate: await testCertificate("127.0.0.1") });
    const other = await testCertificate("nobody.test");
    const verify = "  tls: {mode: VerifyName, caRef: {name: ca}}\n";
    transport = await startTestTransport({
      manifests: {
        "all.yaml": smartHost(sink.port, verify),
        "ca.yaml": secret("ca", { "ca.crt": other.cert }),
      },
    });
    await sendTo("ann@contoso.example");
    await eventually(async () =>
      (await transport.events()).some(({ event, status }) => event === "DEFER" && status === "4.7.5"),
    );
    expect(sink.messages).toEqual([]);
    await transport.change("ca.yaml", secret("ca", { "ca.crt": (await testAuthority()).cert }));
    await sink.messagesReach(1);
    expect(sink.messages[0]?.tls).toBe(true);
  });
});

describe("a changed send connector", () => {
  test("that turns from smart hosts to MX has its waiting mail routed anew, not bounced", async () => {
    const down = await sinkOf({ script: () => ({ destroy: true }) });
    const up = await sinkOf({});
    const dns = await startDns({
      "contoso.example": { MX: [[10, "mx.inside.example"]] },
      "mx.inside.example": { A: ["127.0.0.1"] },
    });
    open.push(dns);
    const manifest = smartHost(down.port, "  tls: {mode: None}\n");
    transport = await startTestTransport({
      manifests: { "all.yaml": manifest },
      resolver: systemResolver([dns.server]),
    });
    await sendTo("ann@contoso.example");
    await eventually(async () => (await transport.events()).some(({ event }) => event === "DEFER"));
    const mx = manifest.replace(/routing: .*/, `routing: {type: MX, port: ${up.port}}`);
    await transport.change("all.yaml", mx);
    await up.messagesReach(1);
    expect((await transport.events()).some(({ event }) => event === "FAIL")).toBe(false);
  });
});

describe("a new rule", () => {
  test("leaves every listener and session as it is", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const port = transport.port();
    const client = await openDialogue({ port });
    await client.say("MAIL FROM:<eve@fabrikam.example>");
    await transport.change(
      "rule.yaml",
      `${HEAD} TransportRule\nmetadata: {name: r}\nspec: {actions: {prependSubject: new}}\n`,
    );
    expect(transport.port()).toBe(port);
    expect(await client.say("RCPT TO:<ann@contoso.example>")).toMatch(/^250/);
    client.close();
  });
});
