import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { testAuthority, testCertificate } from "../../test/helpers/certificate.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { createFakeClock } from "../../test/helpers/fake-clock.ts";
import { makeClient, type Rig, type RigOptions, startRig } from "../../test/helpers/session-rig.ts";

let ca = "";
let certificate = { cert: "", key: "" };
let rig: Rig | undefined;

beforeAll(async () => {
  ca = (await testAuthority()).cert;
  certificate = await testCertificate("mx.example");
});
afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

async function start(options: RigOptions = {}): Promise<Rig> {
  rig = await startRig({ ...options, certificate });
  return rig;
}

describe("STARTTLS", () => {
  test("encrypts, forgets what was said before, and offers AUTH and REQUIRETLS only then", async () => {
    const started = await start({ connector: { authMechanisms: ["Tls", "BasicAuthRequireTLS"] } });
    const clear = await started.open();
    const offer = await clear.say("EHLO me");
    expect(offer).toContain("STARTTLS");
    expect(offer).not.toMatch(/AUTH|REQUIRETLS/);
    await clear.say("MAIL FROM:<a@b>");
    expect(await clear.say("STARTTLS")).toBe("220 2.0.0 Ready to start TLS");
    const secure = await clear.startTls(ca, "mx.example");
    expect(await secure.say("MAIL FROM:<a@b>")).toMatch(/^503 5\.5\.1/);
    const session = started.controls[0]?.session;
    expect(session).toMatchObject({
      helo: "",
      extended: false,
      tls: { protocol: "TLSv1.3", servername: "mx.example" },
    });
    expect(session?.tls?.cipher).toMatch(/^TLS_/);
    const secureOffer = await secure.say("EHLO me");
    expect(secureOffer).toMatch(/AUTH PLAIN LOGIN/);
    expect(secureOffer).toMatch(/REQUIRETLS/);
    expect(secureOffer).not.toMatch(/STARTTLS/);
    expect(await secure.say("STARTTLS")).toMatch(/^503/);
    expect(await secure.say("MAIL FROM:<a@b> REQUIRETLS")).toMatch(/^250/);
    expect(await secure.say("RCPT TO:<c@d>")).toMatch(/^250/);
    expect(await secure.say("DATA")).toMatch(/^354/);
    expect(await secure.say("x\r\n.")).toMatch(/^250/);
    expect(started.messages[0]?.transaction.envelope.requireTls).toBe(true);
    expect(started.events).toContain("reset"); // the transaction of before
    secure.socket.destroy();
    await eventually(() => started.events.includes("closed"));
  });

  test("a command behind it in clear cuts the session, and is never run", async () => {
    const started = await start();
    const client = await started.open();
    client.write("EHLO me\r\nSTARTTLS\r\nMAIL FROM:<evil@example>\r\n");
    expect(await client.rest()).toMatch(/554 5\.5\.0 Command sent before the TLS handshake\r\n$/);
    expect(started.controls[0]?.inTransaction()).toBe(false);
  });

  test("octets behind it that come during the handshake break the handshake", async () => {
    const started = await start();
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    client.write("MAIL FROM:<evil@example>\r\n");
    expect(await client.rest()).not.toContain("250 2.1.0");
    await eventually(() => started.events.includes("closed"));
  });

  test.each([
    { name: "with an argument is 501", lines: ["EHLO me", "STARTTLS now"], want: /^501/ },
    { name: "before EHLO is 503", lines: ["STARTTLS"], want: /^503/ },
  ])("$name", async ({ lines, want }) => {
    const client = await (await start()).open();
    let last = "";
    for (const line of lines) last = await client.say(line);
    expect(last).toMatch(want);
  });

  test("without Tls among the mechanisms it is not offered", async () => {
    const client = await (await start({ connector: { authMechanisms: ["BasicAuth"] } })).open();
    expect(await client.say("EHLO me")).not.toContain("STARTTLS");
    expect(await client.say("STARTTLS")).toMatch(/^502/);
  });

  test("a listener that the service has on the socket still hears it close", async () => {
    const closed: string[] = [];
    const started = await start({ onSocket: (socket) => socket.once("close", () => closed.push("closed")) });
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    const secure = await client.startTls(ca, "mx.example");
    expect(await secure.say("EHLO me")).toMatch(/^250/);
    expect(await secure.say("QUIT")).toMatch(/^221/);
    await eventually(() => closed.length > 0);
    expect(closed).toEqual(["closed"]);
  });

  test("a client that leaves during the handshake is closed once", async () => {
    const started = await start();
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    client.socket.resetAndDestroy();
    await eventually(() => started.events.includes("closed"));
    expect(started.events).toEqual(["disconnect", "closed"]);
  });

  test.each([
    { name: "with nothing said", octets: Buffer.alloc(0) },
    { name: "with half a ClientHello", octets: Buffer.from("16030102000100", "hex") },
  ])("a client that closes its half $name is closed at once", async ({ octets }) => {
    const started = await start();
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    client.socket.end(octets);
    await eventually(() => started.events.includes("closed"));
    expect(started.events).toEqual(["disconnect", "closed"]);
  });

  test("a handshake that does not end within 30 s is cut, and the session's own time is not waited for", async () => {
    const clock = createFakeClock();
    const started = await start({ clock, connector: { connectionInactivityTimeoutMs: 600_000 } });
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    client.write(Buffer.from("16030102000100", "hex"));
    await clock.advance(29_999);
    expect(started.events).toEqual([]);
    await clock.advance(1);
    await eventually(() => started.events.includes("closed"));
  });

  test("a session under TLS outlives the time of its handshake", async () => {
    const clock = createFakeClock();
    const started = await start({ clock });
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    const secure = await client.startTls(ca, "mx.example");
    await eventually(() => started.controls[0]?.session.tls);
    await clock.advance(30_000);
    expect(await secure.say("EHLO me")).toMatch(/^250/);
  });

  test("a client under TLS that closes its half still gets its replies", async () => {
    const started = await start();
    const client = await started.open();
    await client.say("EHLO me");
    await client.say("STARTTLS");
    const secure = await client.startTls(ca, "mx.example");
    secure.socket.end("EHLO me\r\nNOOP\r\n");
    expect(await secure.rest()).toMatch(/250 2\.0\.0 OK\r\n$/);
  });
});

describe("implicit TLS", () => {
  test("a session on a TLSSocket greets under TLS and knows its facts", async () => {
    const started = await start({
      implicitTls: true,
      connector: { authMechanisms: ["BasicAuthRequireTLS"] },
    });
    const socket = tlsConnect({ port: started.port, host: "127.0.0.1", ca, servername: "mx.example" });
    const client = makeClient(socket);
    expect(await client.reply()).toMatch(/^220 /);
    expect(await client.say("EHLO me")).toContain("AUTH PLAIN LOGIN");
    expect(started.controls[0]?.session.tls).toMatchObject({ protocol: "TLSv1.3", servername: "mx.example" });
    expect(await client.say("QUIT")).toMatch(/^221/);
    await eventually(() => started.events.includes("closed"));
  });
});
