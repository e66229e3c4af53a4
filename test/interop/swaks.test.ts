/** Facts that swaks, a client written by others, finds out about receive connectors. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testCertificate } from "../helpers/certificate.ts";
import { needs } from "../helpers/debian.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Run, run } from "../helpers/run.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";
import { tlsSecret, usersSecret } from "./secrets.ts";

const ready = await needs("swaks");

/** Exit codes of swaks: 0, or where the dialogue broke off. */
const EXIT = { done: 0, banner: 21, mail: 23, rcpt: 24, auth: 28, tls: 29, xclient: 33 };
const PASSWORD = "correct horse";
const ports = {
  internet: await freePort(),
  submission: await freePort(),
  implicit: await freePort(),
  balanced: await freePort(),
};

function authenticated(name: keyof typeof ports, tlsMode: string): string {
  return `
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: ${name}}
spec:
  bindings: [{address: 127.0.0.1, port: ${ports[name]}}]
  permissionGroups: [AuthenticatedUsers]
  authMechanisms: [Tls, BasicAuthRequireTLS]
  credentialsRef: {name: users}
  tls: {mode: ${tlsMode}, certificateRefs: [{name: mx}]}
  tarpitInterval: 0s
`;
}

const BALANCED = `
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: balanced}
spec:
  bindings: [{address: 127.0.0.1, port: ${ports.balanced}}]
  proxyProtocol: {trustedCIDRs: [127.0.0.1/32]}
  tarpitInterval: 0s
`;

describe.skipIf(!ready)("swaks", () => {
  let transport: TestTransport;
  let sent = 0;

  beforeAll(async () => {
    const internet = BASIC.replace("port: 0", `port: ${ports.internet}`);
    const connectors = [authenticated("submission", "Required"), authenticated("implicit", "Implicit")];
    transport = await startTestTransport({
      manifests: {
        "all.yaml": [internet, OUTSIDE, BALANCED, ...connectors].join("---"),
        "tls.yaml": tlsSecret("mx", await testCertificate("mx.contoso.example")),
        "users.yaml": usersSecret("users", { "ann@contoso.example": PASSWORD }),
      },
    });
  });
  afterAll(() => transport.stop());

  /** Sends one message with a subject of its own. */
  async function swaks(
    connector: keyof typeof ports,
    ...args: readonly string[]
  ): Promise<Run & { readonly subject: string }> {
    sent += 1;
    const subject = `swaks-${sent}`;
    const target = ["--server", "127.0.0.1", "--port", String(ports[connector]), "--helo", "client.example"];
    const message = ["--from", "ann@contoso.example", "--header", `Subject: ${subject}`, "--timeout", "60s"];
    const to = args.includes("--to") ? [] : ["--to", "bob@contoso.example"];
    return { subject, ...(await run("swaks", [...target, ...message, ...to, ...args])) };
  }

  /** The message as it was delivered into a drop folder. */
  const delivered = (subject: string, folder = "mailboxes") =>
    eventually(async () =>
      (await transport.dropped(folder)).find((content) => content.includes(`Subject: ${subject}\r\n`)),
    );

  const auth = (mechanism: string, password = PASSWORD) => [
    ...["--auth", mechanism, "--auth-user", "ann@contoso.example", "--auth-password", password],
  ];

  test.each(["PLAIN", "LOGIN"])(
    "submits after STARTTLS and AUTH %s, and may send to strangers",
    async (mechanism) => {
      const { status, output, subject } = await swaks(
        "submission",
        ...["--tls", ...auth(mechanism), "--to", "pat@partner.example"],
      );
      expect(output).toMatch(/<~ +235 2\.7\.0 /);
      expect(status).toBe(EXIT.done);
      expect(await delivered(subject, "outside")).toMatch(/with ESMTPSA \(TLSv1\.3 /);
    },
  );

  test.each(["PLAIN", "LOGIN"])("with a wrong password is refused 535 by AUTH %s", async (mechanism) => {
    const { status, output } = await swaks("submission", "--tls", ...auth(mechanism, "wrong horse"));
    expect(output).toMatch(/<~\* 535 5\.7\.8 /);
    expect(status).toBe(EXIT.auth);
  });

  test("sees no AUTH before TLS, sees it after, and STARTTLS only once", async () => {
    const { status, output } = await swaks("submission", "--tls", "--quit-after", "EHLO");
    const [clear = "", secured = ""] = output.split("=== TLS started");
    expect(status).toBe(EXIT.done);
    expect(clear).toMatch(/<- +250[- ]STARTTLS/);
    expect(clear).not.toMatch(/250[- ]AUTH/);
    expect(secured).toMatch(/<~ +250[- ]AUTH PLAIN LOGIN/);
    expect(secured).not.toMatch(/250[- ]STARTTLS/);
  });

  test("finds no AUTH when it asks for it in clear text", async () => {
    const { status, output } = await swaks("submission", ...auth("PLAIN"));
    expect(output).toContain("Host did not advertise authentication");
    expect(status).toBe(EXIT.auth);
  });

  test("is refused 530 where TLS is required and it has none", async () => {
    const { status, output } = await swaks("submission");
    expect(output).toMatch(/<\*\* 530 5\.7\.0 /);
    expect(status).toBe(EXIT.mail);
  });

  test("under TLS but without AUTH is refused 530 on a submission connector", async () => {
    const { status, output } = await swaks("submission", "--tls");
    expect(output).toMatch(/<~\* 5\d\d 5\.7\.\d /);
    expect([EXIT.mail, EXIT.rcpt]).toContain(status);
  });

  test("speaks TLS from the first octet on an implicit connector", async () => {
    const { status, output, subject } = await swaks("implicit", "--tls-on-connect", ...auth("PLAIN"));
    expect(output).toMatch(/<~ +220 /);
    expect(output).not.toMatch(/250[- ]STARTTLS/);
    expect(status).toBe(EXIT.done);
    expect(await delivered(subject)).toMatch(/with ESMTPSA \(TLSv1\.3 /);
  });

  test("sees no XCLIENT: a client is who it is", async () => {
    const { status, output } = await swaks("internet", "--xclient-addr", "198.51.100.7");
    expect(output).toContain("Host did not advertise XCLIENT");
    expect(status).toBe(EXIT.xclient);
  });

  test("pipelines MAIL, several RCPT and DATA; a refused recipient harms no other", async () => {
    const to = ["--to", "bob@contoso.example,pat@partner.example,carol@contoso.example"];
    const { status, output, subject } = await swaks("internet", "--pipeline", ...to);
    expect(output).toMatch(/ -> MAIL FROM.*\n -> RCPT TO.*\n -> RCPT TO.*\n -> RCPT TO.*\n -> DATA\n/);
    expect(output).toMatch(/<\*\* 550 5\.7\.1 /);
    expect(status).toBe(EXIT.done);
    const content = await delivered(subject);
    expect(content.match(/X-Receiver: .*/g)).toEqual([
      "X-Receiver: <bob@contoso.example>",
      "X-Receiver: <carol@contoso.example>",
    ]);
  });

  test.each([
    { name: "version 1", version: "1", family: "TCP4", source: "203.0.113.9", want: "[203.0.113.9]" },
    {
      name: "version 1, IPv6",
      version: "1",
      family: "TCP6",
      source: "2001:db8::9",
      want: "[IPv6:2001:db8::9]",
    },
    { name: "version 2", version: "2", family: "AF_INET", source: "203.0.113.10", want: "[203.0.113.10]" },
  ])("behind a balancer with PROXY $name is known by its own address", async (row) => {
    const dest = row.family === "TCP6" ? "::1" : "127.0.0.1";
    const { status, output, subject } = await swaks(
      "balanced",
      ...["--proxy-version", row.version, "--proxy-family", row.family],
      ...["--proxy-source", row.source, "--proxy-source-port", "4711"],
      ...["--proxy-dest", dest, "--proxy-dest-port", "25"],
    );
    expect({ status, output }).toMatchObject({ status: EXIT.done });
    expect(await delivered(subject)).toContain(`Received: from client.example (${row.want})`);
  });

  test("without a PROXY header gets no banner from a connector that must have one", async () => {
    const { status, output } = await swaks("balanced", "--timeout", "1s");
    expect(output).not.toMatch(/<- +220/);
    expect(status).toBe(EXIT.banner);
  });

  test("with a PROXY header where none is trusted is no other client", async () => {
    const header = ["--proxy-version", "1", "--proxy", "TCP4 203.0.113.9 127.0.0.1 4711 25"];
    const { status, output } = await swaks("internet", ...header);
    expect(output).toMatch(/<(\*\*|-) +5\d\d /);
    expect(status).not.toBe(EXIT.done);
  });
});
