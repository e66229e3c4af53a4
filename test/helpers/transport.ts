/**
 * A whole transport in this process for scenarios: temporary folders, random ports, manifests as text.
 *
 * Ports in manifests are written 0; `port("internet")` tells what was bound. Delivered mail lands in drop folders or in a sink.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { Clock } from "../../lib/clock.ts";
import { readTrackingLine } from "../../lib/tracking-line.ts";
import type { Agent } from "../../transport/agents/mod.ts";
import type { DnsResolver } from "../../transport/delivery/mod.ts";
import { startTransport, type Transport } from "../../transport/main.ts";
import { eventually } from "./eventually.ts";

export interface TestTransport {
  /** The n-th bound port, in the order of the bindings. */
  port(index?: number): number;
  readonly httpPort: number;
  readonly manifests: string;
  readonly state: string;
  /** Writes a manifest file and resolves once it is in force (or refused). */
  change(file: string, text: string): Promise<void>;
  /** Contents of the .eml files in a drop folder. */
  dropped(directory: string): Promise<string[]>;
  /** Tracking events so far, one for each rule. */
  events(): Promise<Readonly<Record<string, unknown>>[]>;
  /** Log lines so far, parsed. */
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  /** Stops, within a grace of one second unless told, and starts again on the same state. */
  restart(options?: { readonly workers?: number; readonly graceMs?: number }): Promise<void>;
  stop(): Promise<void>;
}

export interface TestTransportOptions {
  readonly manifests: Readonly<Record<string, string>>;
  readonly resolver?: DnsResolver;
  readonly selfSigned?: boolean;
  readonly clock?: Clock;
  /** Octets; what the back pressure of memory is measured against. */
  readonly memoryLimit?: number;
  readonly agents?: readonly Agent<unknown>[];
  /** Worker threads; only their errors are printed. 1: this thread. */
  readonly workers?: number;
}

export async function startTestTransport(options: TestTransportOptions): Promise<TestTransport> {
  const root = await mkdtemp(join(tmpdir(), "postroom-scenario-"));
  const manifests = join(root, "manifests");
  const state = join(root, "state");
  await import("node:fs/promises").then(({ mkdir }) => mkdir(manifests));
  for (const [name, text] of Object.entries(options.manifests)) await writeFile(join(manifests, name), text);
  const logs: Record<string, unknown>[] = [];
  const log = pino(
    { level: "debug", base: null },
    { write: (line: string) => void logs.push(JSON.parse(line)) },
  );
  const start = (workers = options.workers) =>
    startTransport({
      source: { folder: { manifests, selfSigned: options.selfSigned ?? false } },
      state,
      log,
      resolver: options.resolver,
      clock: options.clock,
      agents: options.agents,
      memoryLimit: options.memoryLimit,
      workers,
      threadLog: { level: "error", pretty: false },
      http: { host: "127.0.0.1", port: 0 },
    });
  let transport: Transport = await start().catch((cause: unknown) => {
    throw new Error(`The transport did not start: ${logs.map((line) => JSON.stringify(line)).join("\n")}`, {
      cause,
    });
  });
  const settled = () =>
    logs.filter(({ msg }) => /^configuration (in force|not applied|as it was)/.test(String(msg))).length;
  return {
    port: (index = 0) => transport.bindings()[index]?.port ?? 0,
    get httpPort() {
      return transport.httpPort ?? 0;
    },
    manifests,
    state,
    logs,
    async change(file, text) {
      const before = settled();
      await writeFile(join(manifests, file), text);
      await eventually(() => settled() > before);
    },
    async dropped(directory) {
      const folder = join(state, "drop", directory);
      const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".eml")).sort();
      return Promise.all(names.map((name) => readFile(join(folder, name), "latin1")));
    },
    async events() {
      const folder = join(state, "tracking");
      const names = (await readdir(folder).catch(() => [])).sort();
      const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
      return texts.flatMap((text) => text.split("\n").flatMap(readTrackingLine));
    },
    async restart({ workers, graceMs = 1000 } = {}) {
      await transport.stop(graceMs);
      transport = await start(workers);
    },
    async stop() {
      await transport.stop(1000);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** MailTransport, an anonymous connector on a random port, contoso.example into the drop folder "mailboxes". */
export const BASIC = `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: hub}
spec: {hostname: mx.contoso.example}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: internet}
spec:
  bindings: [{address: 127.0.0.1, port: 0}]
  tarpitInterval: 0s
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domains: [contoso.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: mailboxes}
spec:
  addressSpaces: [{domain: contoso.example}]
  routing: {type: Drop, directory: mailboxes}
`;

/** A SendConnector for every other domain into the drop folder "outside". */
export const OUTSIDE = `
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: outside}
spec:
  addressSpaces: [{domain: "*"}]
  routing: {type: Drop, directory: outside}
`;
