/** The programs of a control plane: their flags and files, and each as a process that ends by its own pid. */
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import { guarded } from "./process-guard.ts";

export interface ControlPlaneProgram {
  readonly hasEnded: boolean;
  /** What it wrote since this start and before: the file goes on after a restart. */
  log(): string;
  logTail(lines?: number): string;
  /** SIGKILL follows when SIGTERM brings nothing for 10 s. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

export interface Place {
  readonly folder: string;
  readonly port: number;
  /** http://127.0.0.1:port of etcd. */
  readonly etcdUrl: string;
}

/** Loopback: nobody else reaches it. */
export const HOST = "127.0.0.1";
const GRACE_MS = 10_000;

export function startProgram(path: string, args: readonly string[], logPath: string): ControlPlaneProgram {
  const out = openSync(logPath, "a");
  const child = guarded(spawn(path, args, { stdio: ["ignore", out, out] }));
  closeSync(out);
  let hasEnded = false;
  const ended = Promise.race([once(child, "exit"), once(child, "error")]).then(() => {
    hasEnded = true;
  });
  const log = () => readFileSync(logPath, "utf8");
  return {
    get hasEnded() {
      return hasEnded;
    },
    log,
    logTail: (lines = 30) => log().trimEnd().split("\n").slice(-lines).join("\n"),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** What the flags name, and a kubeconfig: admin.kubeconfig. */
export function writeMaterial(
  folder: string,
  material: { certificate: CertificateAndKey; ca: string; adminToken: string; url: string },
): void {
  const { certificate, ca, adminToken, url } = material;
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "sec1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const files: Readonly<Record<string, string>> = {
    "ca.crt": ca,
    "server.crt": certificate.cert,
    "server.key": certificate.key,
    "sa.key": privateKey,
    "sa.pub": publicKey,
    "tokens.csv": `${adminToken},admin,admin,system:masters\n`,
    "admin.kubeconfig": JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [{ name: "test", cluster: { server: url, "certificate-authority": join(folder, "ca.crt") } }],
      users: [{ name: "admin", user: { token: adminToken } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "admin", namespace: "default" } }],
    }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
}

export function etcdFlags({ folder, etcdUrl }: Place): string[] {
  return [
    `--data-dir=${folder}/etcd`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    // Nobody joins it.
    `--listen-peer-urls=http://${HOST}:0`,
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
}

export function serverFlags({ folder, port, etcdUrl }: Place): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${HOST}`,
    `--advertise-address=${HOST}`,
    `--secure-port=${port}`,
    `--cert-dir=${folder}/certs`,
    `--tls-cert-file=${folder}/server.crt`,
    `--tls-private-key-file=${folder}/server.key`,
    `--token-auth-file=${folder}/tokens.csv`,
    `--service-account-key-file=${folder}/sa.pub`,
    `--service-account-signing-key-file=${folder}/sa.key`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--authorization-mode=RBAC",
    "--endpoint-reconciler-type=none",
    "--allow-privileged",
    "--profiling=false",
    // ServiceAccount wants the default account of each namespace, the other leaves finalizers for a controller.
    "--disable-admission-plugins=ServiceAccount,StorageObjectInUseProtection",
  ];
}
