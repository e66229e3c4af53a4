/**
 * Live: 200 changes of rules, connectors and certificates while 50 connections send.
 *
 * Each change is a file written into the manifests folder; its effect is looked for from outside: a header that the
 * rule sets arrives at the sink, EHLO offers the new SIZE, the handshake shows the new certificate.
 * Prints failed transactions, dropped connections, and the time from write to effect. Usage: node bench/live.ts [changes]
 *
 * @module
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { makeCertificate } from "../lib/certificate.ts";
import { freePort } from "../test/helpers/free-port.ts";
import { openDialogue } from "../test/helpers/smtp-dialogue.ts";
import { startCountingSink } from "./counting-sink.ts";
import { greeted, percentile, startTransportProcess, temporaryFolder } from "./processes.ts";

const CHANGES = Number(process.argv[2] ?? 200);
const SENDERS = 50;
const PAUSE_MS = 40;

const folder = temporaryFolder();
const manifests = join(folder.path, "manifests");
const [port, tlsPort] = [await freePort(), await freePort()];
let newestRevision = 0;
let received = 0;
const sink = await startCountingSink((content) => {
  received += 1;
  newestRevision = Math.max(newestRevision, Number(/^X-Revision: (\d+)/m.exec(content)?.[1] ?? 0));
});
const certificates = await Promise.all(
  Array.from({ length: 8 }, (_, n) => makeCertificate({ names: [`mx${n}.contoso.example`], days: 2 })),
);
folder.write("manifests/10-base.yaml", base());
folder.write("manifests/20-connector.yaml", connector(0));
folder.write("manifests/30-rule.yaml", rule(0));
folder.write("manifests/40-secret.yaml", secret(0));
const transport = startTransportProcess({
  manifests,
  state: join(folder.path, "state"),
  log: (line) => process.stdout.write(line),
});
await greeted(port);

let stopped = false;
let sent = 0;
let failed = 0;
let dropped = 0;
const faults = new Map<string, number>();
const senders = Array.from({ length: SENDERS }, send);

const latencies: Record<string, number[]> = { rule: [], connector: [], certificate: [] };
for (let n = 1; n <= CHANGES; n += 1) {
  const kind = (["rule", "connector", "certificate"] as const)[n % 3] ?? "rule";
  const began = performance.now();
  if (kind === "rule") {
    replace("30-rule.yaml", rule(n));
    await until(() => newestRevision >= n);
  } else if (kind === "connector") {
    replace("20-connector.yaml", connector(n));
    await until(async () => (await ehlo()).includes(`SIZE ${1_000_000 + n}`));
  } else {
    replace("40-secret.yaml", secret(n));
    await until(async () => (await shownName()) === `mx${n % 8}.contoso.example`);
  }
  latencies[kind]?.push(performance.now() - began);
}
stopped = true;
await Promise.all(senders);
await transport.kill("SIGTERM");
await sink.close();
const all = Object.values(latencies).flat();
const figures = (values: readonly number[]) => ({
  changes: values.length,
  p50: Math.round(percentile(values, 0.5)),
  p99: Math.round(percentile(values, 0.99)),
  max: Math.round(Math.max(...values)),
});
console.log(
  JSON.stringify({
    sent,
    received,
    failedTransactions: failed,
    droppedConnections: dropped,
    faults: Object.fromEntries(faults),
  }),
);
console.log(
  JSON.stringify({
    msFromWriteToEffect: {
      all: figures(all),
      ...Object.fromEntries(Object.entries(latencies).map(([k, v]) => [k, figures(v)])),
    },
  }),
);
folder.remove();
process.exit(failed + dropped === 0 ? 0 : 1);

async function send(): Promise<void> {
  const client = await openDialogue({ port });
  void client.closed.then(() => {
    if (!stopped) dropped += 1;
  });
  while (!stopped) {
    const answer = await client
      .send(
        "load@source.example",
        ["ann@contoso.example"],
        "From: load@source.example\r\nSubject: load\r\n\r\nHi.\r\n",
      )
      .catch((error: Error) => error.message);
    if (answer.startsWith("250")) sent += 1;
    else {
      failed += 1;
      faults.set(answer, (faults.get(answer) ?? 0) + 1);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await client.say("QUIT").catch(() => "");
  client.close();
}

async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await look())) {
    if (performance.now() > end) throw new Error("A change had no effect within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** As editors and kubelet do: written beside, then renamed. */
function replace(name: string, text: string): void {
  writeFileSync(join(manifests, `.${name}.tmp`), text);
  renameSync(join(manifests, `.${name}.tmp`), join(manifests, name));
}

async function ehlo(): Promise<string> {
  const client = await openDialogue({ port, raw: true });
  await client.reply();
  const answer = await client.say("EHLO probe.example");
  client.close();
  return answer;
}

function shownName(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ port: tlsPort, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject?.CN ?? ""));
      socket.destroy();
    });
    socket.on("error", () => resolve(""));
  });
}

function object(kind: string, name: string, spec: object): string {
  return `${JSON.stringify({ apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec })}\n---\n`;
}

function base(): string {
  const smartHosts = [{ host: "127.0.0.1", port: sink.port }];
  return (
    object("MailTransport", "hub", { hostname: "mx.contoso.example" }) +
    object("AcceptedDomain", "contoso", { domains: ["contoso.example"] }) +
    object("ReceiveConnector", "tls", {
      bindings: [{ address: "127.0.0.1", port: tlsPort }],
      tls: { mode: "Implicit", certificateRefs: [{ name: "mx" }] },
      maxInboundConnectionPerSource: 1000,
    }) +
    object("SendConnector", "out", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts },
      tls: { mode: "None" },
    })
  );
}

function connector(revision: number): string {
  return object("ReceiveConnector", "plain", {
    bindings: [{ address: "127.0.0.1", port }],
    maxInboundConnectionPerSource: 1000,
    maxMessageSize: String(1_000_000 + revision),
  });
}

function rule(revision: number): string {
  return object("TransportRule", "stamp", {
    actions: { setHeader: [{ name: "X-Revision", value: String(revision) }] },
  });
}

function secret(revision: number): string {
  const { cert, key } = certificates[revision % 8] ?? { cert: "", key: "" };
  const stringData = { "tls.crt": cert, "tls.key": key };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "mx" },
    stringData,
  });
}
