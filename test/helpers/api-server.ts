/**
 * A real API server with its etcd: random ports on loopback, a temporary folder, RBAC, real service account tokens.
 *
 *   const server = await startApiServer();
 *   await installCrds(server);
 *   const namespace = await server.namespace();
 *   await server.admin("POST", `/api/v1/namespaces/${namespace}/configmaps`, { body: {...} });
 *   await server.stop();
 *
 * There is no controller and no kubelet: StatefulSets make no pods, namespaces never go, nothing is collected
 * (cluster-actors.ts plays what a test needs). Admission that waits for controllers is off. What is still there when
 * this process dies ends with it.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as yaml from "js-yaml";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import type { KubeAuth } from "../../lib/kube/types.ts";
import { type Admin, apiClient } from "./api-client.ts";
import { testAuthority, testCertificate } from "./certificate.ts";
import {
  type ControlPlaneProgram,
  etcdFlags,
  HOST,
  serverFlags,
  startProgram,
  writeMaterial,
} from "./control-plane.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";
import { kubeAssets } from "./kube-assets.ts";
import { guardFolder } from "./process-guard.ts";

export interface ApiServerOptions {
  /** Further flags of kube-apiserver; of two for one flag the last wins. */
  readonly flags?: readonly string[];
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Bound to this pod: the token names it and dies with it. */
  readonly pod?: { readonly name: string; readonly uid: string };
  /** At least 600; left out: an hour. */
  readonly expirationSeconds?: number;
}

export interface ApiServer {
  /** https://127.0.0.1:port */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** http://127.0.0.1:port of its etcd, with /metrics. */
  readonly etcdUrl: string;
  readonly caFile: string;
  /** What the server shows, and who signed it: for a proxy that ends TLS itself. */
  readonly certificate: CertificateAndKey;
  readonly ca: string;
  /** Of a user in system:masters. */
  readonly adminAuth: KubeAuth;
  readonly kubeconfigPath: string;
  /** A folder that goes with the server. */
  readonly folder: string;
  readonly admin: Admin;
  authFor(token: string, namespace?: string): KubeAuth;
  /** A real token from the TokenRequest API; the service account must exist. */
  tokenFor(request: TokenRequest): Promise<string>;
  /** Makes a namespace with a name of its own. */
  namespace(prefix?: string): Promise<string>;
  /** Ends kube-apiserver only; etcd goes on. */
  stopServer(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** The same port and objects. `flags` take the place of the earlier ones. */
  startAgain(flags?: readonly string[]): Promise<void>;
  /** Ends it, forgets every earlier resourceVersion, starts it: earlier watches and continue tokens are 410 Gone. */
  forgetHistory(): Promise<void>;
  /** The last lines that the server wrote. */
  logTail(lines?: number): string;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 90_000;

export async function startApiServer({ flags: firstFlags = [] }: ApiServerOptions = {}): Promise<ApiServer> {
  const assets = kubeAssets();
  if (assets === undefined) throw new Error("There is no kube-apiserver on this machine");
  const folder = mkdtempSync(join(tmpdir(), "postroom-kube-"));
  guardFolder(folder);
  const port = await freePort();
  const etcdUrl = `http://${HOST}:${await freePort()}`;
  const place = { folder, port, etcdUrl };
  const url = `https://${HOST}:${port}`;
  const adminToken = randomBytes(16).toString("hex");
  const certificate = await testCertificate("localhost", HOST, "kubernetes.default.svc");
  const { cert: ca } = await testAuthority();
  writeMaterial(folder, { certificate, ca, adminToken, url });
  const authFor = (token: string, namespace = "default"): KubeAuth => ({
    server: url,
    namespace,
    credentials: async () => ({ ca, headers: { authorization: `Bearer ${token}` } }),
  });
  const adminAuth = authFor(adminToken);
  const { call: admin, close } = apiClient(adminAuth);

  const etcd = startProgram(assets.etcd, etcdFlags(place), join(folder, "etcd.log"));
  let server: ControlPlaneProgram | undefined;
  let flags = firstFlags;
  const start = async (): Promise<void> => {
    const program = startProgram(
      assets.apiServer,
      [...serverFlags(place), ...flags],
      join(folder, "apiserver.log"),
    );
    server = program;
    await isReady(admin, program);
  };
  const stopServer: ApiServer["stopServer"] = async (signal) => {
    await server?.stop(signal);
    server = undefined;
  };
  const stop = async (): Promise<void> => {
    close();
    // Nobody reads on: a graceful end would only wait for watches.
    await stopServer("SIGKILL");
    await etcd.stop("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  };
  await start().catch(async (cause: unknown) => {
    const said = server?.logTail() ?? etcd.logTail();
    await stop();
    throw new Error(`kube-apiserver does not start: ${said}`, { cause });
  });

  return {
    url,
    host: HOST,
    port,
    etcdUrl,
    caFile: join(folder, "ca.crt"),
    certificate,
    ca,
    adminAuth,
    kubeconfigPath: join(folder, "admin.kubeconfig"),
    folder,
    admin,
    authFor,
    tokenFor: (request) => requestToken(admin, request),
    namespace: (prefix = "test") => makeNamespace(admin, prefix),
    stopServer,
    async startAgain(again = flags) {
      flags = again;
      await start();
    },
    async forgetHistory() {
      await stopServer();
      await compact(etcdUrl);
      await start();
    },
    logTail: (lines) => server?.logTail(lines) ?? etcd.logTail(lines),
    stop,
  };
}

const CRDS = join(import.meta.dirname, "../../charts/postroom/files/crds");

/** Applies the project's custom resource definitions and waits until each is served. */
export async function installCrds({ admin }: ApiServer): Promise<void> {
  const texts = readdirSync(CRDS).map((file) => readFileSync(join(CRDS, file), "utf8"));
  if (texts.length === 0) throw new Error(`There are no definitions in ${CRDS}`);
  await Promise.all(texts.map((text) => installCrd(admin, text)));
}

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function installCrd(admin: Admin, text: string): Promise<void> {
  const { metadata, spec } = yaml.load(text) as Definition;
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${metadata.name}`;
  await admin("PATCH", `${path}?fieldManager=test&force=true`, {
    body: text,
    contentType: "application/apply-patch+yaml",
  });
  await eventually(async () => {
    const { status } = await admin<Definition>("GET", path);
    return status?.conditions?.some(({ type, status: is }) => type === "Established" && is === "True");
  }, START_TIMEOUT_MS);
  // Established comes a moment before the paths are served.
  const version = spec.versions[0]?.name;
  const collection = `/apis/${spec.group}/${version}/${spec.names.plural}?limit=1`;
  await eventually(() => admin("GET", collection), START_TIMEOUT_MS);
}

async function isReady(admin: Admin, program: ControlPlaneProgram): Promise<void> {
  await eventually(async () => {
    // eventually() tries on after a fault, so this one is said below.
    if (program.hasEnded) return true;
    await admin("GET", "/readyz");
    return admin("GET", "/api/v1/namespaces/default");
  }, START_TIMEOUT_MS);
  if (program.hasEnded) throw new Error("kube-apiserver has ended");
}

async function requestToken(admin: Admin, request: TokenRequest): Promise<string> {
  const { namespace, serviceAccount, pod, expirationSeconds = 3600 } = request;
  const { status } = await admin(
    "POST",
    `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
    {
      body: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: {
          expirationSeconds,
          ...(pod && { boundObjectRef: { apiVersion: "v1", kind: "Pod", ...pod } }),
        },
      },
    },
  );
  return status.token;
}

async function makeNamespace(admin: Admin, prefix: string): Promise<string> {
  const name = `${prefix}-${randomBytes(4).toString("hex")}`;
  await admin("POST", "/api/v1/namespaces", {
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name } },
  });
  return name;
}

/** Everything up to the present revision of etcd. */
async function compact(etcd: string): Promise<void> {
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${etcd}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`);
    return (await answer.json()) as { header: { revision: string } };
  };
  const { header } = await post("/v3/kv/range", { key: "AA==" });
  await post("/v3/kv/compaction", { revision: header.revision, physical: true });
}
