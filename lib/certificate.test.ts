import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectPlain } from "node:net";
import { connect, createServer } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { type CertificateAndKey, makeCertificate } from "./certificate.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Connects and answers "" or the code of the failed verification. */
async function verify(pair: CertificateAndKey, ca: string, servername: string): Promise<string> {
  const server = createServer({ cert: pair.cert, key: pair.key });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve) => {
    const socket = connect({ socket: connectPlain(port, "127.0.0.1"), ca, servername }, () => {
      socket.destroy();
      resolve("");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve(error.code ?? error.message);
    });
  });
}

describe("makeCertificate()", () => {
  test("a self-signed certificate is trusted for its names when it is its own root", async () => {
    const pair = await makeCertificate({ names: ["mx.example", "*.mail.example", "127.0.0.1"], days: 2 });
    expect(await verify(pair, pair.cert, "mx.example")).toBe("");
    expect(await verify(pair, pair.cert, "a.mail.example")).toBe("");
    expect(await verify(pair, pair.cert, "other.example")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("a certificate signed by an authority is trusted through it, and not through another", async () => {
    const ca = await makeCertificate({ names: ["Test CA"], days: 10, authority: true });
    const other = await makeCertificate({ names: ["Other CA"], days: 10, authority: true });
    const leaf = await makeCertificate({ names: ["mx.example"], days: 2, ca });
    expect(await verify(leaf, ca.cert, "mx.example")).toBe("");
    expect(await verify(leaf, other.cert, "mx.example")).toMatch(/UNABLE_TO|SELF_SIGNED/);
  });

  test("a certificate whose days are over is expired", async () => {
    const from = Date.now() - 5 * 86_400_000;
    const pair = await makeCertificate({ names: ["mx.example"], days: 2, from });
    expect(await verify(pair, pair.cert, "mx.example")).toBe("CERT_HAS_EXPIRED");
  });

  test("addresses become iPAddress names, and two certificates differ in serial number", async () => {
    const one = new X509Certificate((await makeCertificate({ names: ["::1", "192.0.2.1"], days: 1 })).cert);
    const two = new X509Certificate((await makeCertificate({ names: ["::1"], days: 1 })).cert);
    expect(one.checkIP("::1")).toBe("::1");
    expect(one.checkIP("192.0.2.1")).toBe("192.0.2.1");
    expect(one.checkIP("192.0.2.2")).toBeUndefined();
    expect(one.serialNumber).not.toBe(two.serialNumber);
  });
});
