import { describe, expect, test } from "vitest";
import { makeCertificate } from "../lib/certificate.ts";
import { objects } from "../test/helpers/resources.ts";
import { compileSnapshot } from "./compile.ts";
import { CompileMemory } from "./compile-memory.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-06-01T00:00:00Z");
const good = await makeCertificate({ names: ["mx.a.example"], days: 30, from: NOW });
const other = await makeCertificate({ names: ["mx.a.example"], days: 30, from: NOW });
const resources = objects(
  "MailTransport hub {hostname: mx.a.example}",
  "ReceiveConnector in {bindings: [{port: 25}], tls: {certificateRefs: [{name: tls}]}}",
  "SendConnector out {addressSpaces: [{domain: '*'}], routing: {type: MX}, tls: {mode: VerifyName, caRef: {name: ca}}}",
);

function says(secrets: Record<string, Record<string, string>>, now?: number): string[] {
  const { diagnostics } = compileSnapshot({ resources, secrets: new Map(Object.entries(secrets)), now });
  return diagnostics.map(
    ({ object, severity, reason, message }) => `${object} ${severity} ${reason}: ${message}`,
  );
}

const tls = (certificate: string, key: string) => ({
  "default/tls": { "tls.crt": certificate, "tls.key": key },
  "default/ca": { "ca.crt": good.cert },
});

describe("compileSnapshot() looks into certificates:", () => {
  const wrong = "ReceiveConnector/default/in warning InvalidCertificate: in Secret default/tls";
  test.each([
    { name: "one that fits is silent", secret: tls(good.cert, good.key), now: NOW, want: [] },
    {
      name: "text is none",
      secret: tls("x", good.key),
      now: NOW,
      want: [`${wrong} tls.crt holds no certificate in PEM: TLS is not offered with it`],
    },
    {
      name: "a key must be one",
      secret: tls(good.cert, "x"),
      now: NOW,
      want: [`${wrong} tls.key holds no private key in PEM without a passphrase: TLS is not offered with it`],
    },
    {
      name: "a key must be its own",
      secret: tls(good.cert, other.key),
      now: NOW,
      want: [
        `${wrong} tls.key is not the key of the first certificate in tls.crt: TLS is not offered with it`,
      ],
    },
    {
      name: "one that has expired is told",
      secret: tls(good.cert, good.key),
      now: NOW + 31 * DAY,
      want: [
        "ReceiveConnector/default/in warning CertificateExpired: the certificate in Secret default/tls expired at 2026-07-01T00:00:00.000Z: peers that check it refuse it, renew it",
      ],
    },
    {
      name: "without a clock its dates are not looked at",
      secret: tls(good.cert, good.key),
      now: undefined,
      want: [],
    },
    {
      name: "an authority must be one too",
      secret: { ...tls(good.cert, good.key), "default/ca": { "ca.crt": "x" } },
      now: NOW,
      want: [
        "SendConnector/default/out warning InvalidCertificate: in Secret default/ca ca.crt holds no certificate in PEM: mail waits until this is mended",
      ],
    },
  ])("$name", ({ secret, now, want }) => expect(says(secret, now)).toEqual(want));

  test("a renewed one is looked at again, whatever is remembered", () => {
    const memory = new CompileMemory();
    const reasons = (key: string) =>
      compileSnapshot({
        resources,
        memory,
        secrets: new Map(Object.entries(tls(good.cert, key))),
      }).diagnostics.map(({ reason }) => reason);
    expect(reasons(good.key)).toEqual([]);
    expect(reasons(other.key)).toEqual(["InvalidCertificate"]);
    expect(reasons(good.key)).toEqual([]);
  });
});
