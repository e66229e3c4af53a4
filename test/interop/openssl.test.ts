/** Facts that openssl s_client finds out about TLS towards clients. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testAuthority, testCertificate } from "../helpers/certificate.ts";
import { needs } from "../helpers/debian.ts";
import { freePort } from "../helpers/free-port.ts";
import { run } from "../helpers/run.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";
import { tlsSecret } from "./secrets.ts";

const ready = await needs("openssl");
const ports = { starttls: await freePort(), implicit: await freePort() };

function connector(name: keyof typeof ports, tls: string): string {
  return `
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: ${name}}
spec:
  bindings: [{address: 127.0.0.1, port: ${ports[name]}}]
  tls: {${tls}, certificateRefs: [{name: first}, {name: second}]}
`;
}

describe.skipIf(!ready)("openssl s_client", () => {
  let transport: TestTransport;
  let authority: string;

  beforeAll(async () => {
    const connectors = [
      connector("starttls", "mode: Opportunistic"),
      connector("implicit", "mode: Implicit"),
    ];
    transport = await startTestTransport({
      manifests: {
        "all.yaml": [BASIC, ...connectors].join("---"),
        "first.yaml": tlsSecret("first", await testCertificate("mx.contoso.example")),
        "second.yaml": tlsSecret("second", await testCertificate("mx.fabrikam.example", "*.mail.example")),
      },
    });
    authority = join(transport.state, "ca.pem");
    await writeFile(authority, (await testAuthority()).cert);
  });
  afterAll(() => transport?.stop());

  const connect = (port: keyof typeof ports, ...args: readonly string[]) =>
    run(
      "openssl",
      [
        ...["s_client", "-connect", `127.0.0.1:${ports[port]}`, "-CAfile", authority, "-crlf"],
        ...(port === "starttls" ? ["-starttls", "smtp"] : []),
        ...args,
      ],
      { input: "QUIT\r\n", timeoutMs: 60_000 },
    );

  describe.each(["starttls", "implicit"] as const)("on the %s connector", (port) => {
    test.each([
      { name: "the name of the first certificate", ask: "mx.contoso.example", want: "mx.contoso.example" },
      { name: "the name of the second certificate", ask: "mx.fabrikam.example", want: "mx.fabrikam.example" },
      { name: "a name under the wildcard", ask: "eu.mail.example", want: "mx.fabrikam.example" },
      { name: "another name: the first", ask: "who.example", want: "mx.contoso.example" },
      { name: "no name: the first", ask: undefined, want: "mx.contoso.example" },
    ])("gets the certificate for $name", async ({ ask, want }) => {
      const { output } = await connect(
        port,
        ...(ask === undefined ? ["-noservername"] : ["-servername", ask]),
      );
      expect(output).toMatch(new RegExp(`subject=CN ?= ?${want.replaceAll(".", "\\.")}\n`));
      expect(output).toContain("Verify return code: 0 (ok)");
    });

    test("verifies the name it asked for", async () => {
      const name = ["-servername", "eu.mail.example", "-verify_hostname", "eu.mail.example"];
      const { status, output } = await connect(port, ...name, "-verify_return_error");
      expect(output).toContain("Verified peername: *.mail.example");
      expect(status).toBe(0);
    });

    test.each([
      { version: "-tls1_2", want: /New, TLSv1\.2, Cipher is ECDHE-/ },
      { version: "-tls1_3", want: /New, TLSv1\.3, Cipher is TLS_/ },
    ])("shakes hands with $version", async ({ version, want }) => {
      expect((await connect(port, version)).output).toMatch(want);
    });

    test.each(["-tls1", "-tls1_1"])("is refused with %s", async (version) => {
      const { status, output } = await connect(port, version, "-cipher", "ALL:@SECLEVEL=0");
      expect(output).toMatch(/alert protocol version|alert number 70/);
      expect(status).not.toBe(0);
    });
  });
});
