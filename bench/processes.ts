/** What benches share: temporary folders, the transport as a process of its own, its port, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");

export interface Folder {
  readonly path: string;
  write(name: string, text: string): string;
  remove(): void;
}

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "postroom-bench-"));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Resolves when the port greets with 220; rejects after 20 s. */
export async function greeted(port: number): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    const banner = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("data", (chunk) => {
        socket.destroy();
        resolve(String(chunk).startsWith("220"));
      });
      socket.once("error", () => resolve(false));
      socket.once("close", () => resolve(false));
    });
    if (banner) return;
    if (performance.now() > end) throw new Error(`No banner on port ${port} within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface TransportProcess {
  readonly child: ChildProcess;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts `postroom run`; its log goes to `log`. */
export function startTransportProcess(options: {
  readonly manifests: string;
  readonly state: string;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  /** A command that runs it, with its options. */
  readonly under?: readonly string[];
  log?(line: string): void;
}): TransportProcess {
  const args = [
    ...(options.nodeArgs ?? []),
    join(ROOT, "bin/postroom.js"),
    "run",
    "--manifests",
    options.manifests,
    "--state",
    options.state,
    "--log-level",
    "warn",
    ...(options.args ?? []),
  ];
  const [program = "", ...words] = [...(options.under ?? []), process.execPath, ...args];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout?.on("data", (chunk: Buffer) => options.log?.(String(chunk)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    child,
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

/** Resident set of a process in MB. */
export async function residentMegabytes(pid: number | undefined): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 102.4) / 10;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Objects of a transport that relays everything from one port to one host. */
export function relayManifest(options: {
  readonly port: number;
  readonly nextHopPort: number;
  /** Further fields of the MailTransport's spec, as flow YAML. */
  readonly transport?: string;
}): string {
  return `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: hub}
spec: {hostname: mx.contoso.example, queue: {retryIntervals: [1s]}${options.transport === undefined ? "" : `, ${options.transport}`}}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: in}
spec:
  bindings: [{address: 127.0.0.1, port: ${options.port}}]
  maxInboundConnection: 20000
  maxInboundConnectionPerSource: 20000
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domains: [contoso.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: out}
spec:
  addressSpaces: [{domain: "*"}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${options.nextHopPort}}]}
  tls: {mode: None}
`;
}
