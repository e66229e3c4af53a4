import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testAuthority, testCertificate } from "../../test/helpers/certificate.ts";
import { hastyClock, silentLog } from "../../test/helpers/fake-kube.ts";
import { type CertificateAndKey, makeCertificate } from "../certificate.ts";
import { createKubeHttp } from "./http.ts";
import type { KubeCredentials, KubeHttp } from "./types.ts";

const GET = { method: "GET", path: "/version" } as const;
let server: Server;
let http: KubeHttp | undefined;
let connections = 0;
let authority: CertificateAndKey;

beforeEach(async () => {
  authority = await testAuthority();
  const own = await testCertificate("127.0.0.1", "api.example");
  connections = 0;
  server = createServer(
    { ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const { subject } = (request.socket as import("node:tls").TLSSocket).getPeerCertificate();
      response.end(JSON.stringify({ client: subject?.CN ?? "none" }));
    },
  );
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  http?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function client(credentials: () => Omit<KubeCredentials, "headers">): KubeHttp {
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const auth = {
    server: url,
    namespace: "mail",
    credentials: async () => ({ headers: {}, ...credentials() }),
  };
  http = createKubeHttp({ auth, clock: hastyClock([]), log: silentLog, userAgent: "test" });
  return http;
}

describe("TLS", () => {
  test("calls share a connection while the credentials stay, and a rotated certificate takes a new one", async () => {
    const [first, second] = [await testCertificate("first"), await testCertificate("second")];
    let pair = first;
    const kube = client(() => ({ ca: authority.cert, ...pair }));
    expect(await kube.request(GET)).toEqual({ client: "first" });
    expect(await kube.request(GET)).toEqual({ client: "first" });
    expect(connections).toBe(1);
    pair = second;
    expect(await kube.request(GET)).toEqual({ client: "second" });
    expect(connections).toBe(2);
  });

  test("an authority that is not trusted any more is not reached over an old connection", async () => {
    const other = await makeCertificate({ names: ["Another CA"], days: 2, authority: true });
    let ca = authority.cert;
    const kube = client(() => ({ ca }));
    await kube.request(GET);
    ca = other.cert;
    await expect(kube.request(GET)).rejects.toMatchObject({ code: "tls", reason: "NotTrusted" });
  });

  test("a certificate for another name is not trusted, unless the kubeconfig gives that name", async () => {
    const own = await testCertificate("api.example");
    server.setSecureContext(own);
    await expect(client(() => ({ ca: authority.cert })).request(GET)).rejects.toMatchObject({ code: "tls" });
    const named = client(() => ({ ca: authority.cert, servername: "api.example" }));
    expect(await named.request(GET)).toEqual({ client: "none" });
  });

  test("verification can be left out", async () => {
    expect(await client(() => ({ rejectUnauthorized: false })).request(GET)).toEqual({ client: "none" });
  });
});
