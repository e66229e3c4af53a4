/** `postroom explain`: which connector, rules and next hop a message would meet, and why, as a folder or a cluster's objects say now. Nothing is sent. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { type Command, Option } from "commander";
import { formatFault, parseManifests, qualifiedName } from "../crds/mod.ts";
import { systemClock } from "../lib/clock.ts";
import { createKubeHttp } from "../lib/kube/http.ts";
import { createLog } from "../lib/log.ts";
import { type Address, parseAddress } from "../mail/address.ts";
import { makeField, parseHeader } from "../mail/header.ts";
import { compileSnapshot, type Secrets, type Snapshot } from "../snapshot/mod.ts";
import { type Explanation, explainMessage } from "../transport/explain.ts";
import { readManifestFiles } from "./files.ts";
import { describeHead, readLiveObjects } from "./live-objects.ts";
import { formatTable, type OutputFormat } from "./table.ts";
import { parseCount, UsageError } from "./usage.ts";

interface Configuration {
  readonly snapshot: Snapshot;
  readonly secrets: Secrets;
}

interface ExplainOptions {
  readonly manifests?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly transport?: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly clientIp: string;
  readonly port?: string;
  readonly user?: string;
  readonly subject?: string;
  readonly message?: string;
  readonly output: OutputFormat;
}

export function addExplain(program: Command): void {
  program
    .command("explain")
    .description("Show the connector, rules and next hop for a message, and why each was chosen")
    .option("--manifests <dir>", "folder of manifests")
    .option("--context <name>", "context of the kubeconfig: the objects of that cluster, not of a folder")
    .option("--kubeconfig <file>", "default: KUBECONFIG, then ~/.kube/config")
    .option("-n, --namespace <name>", "namespace of the MailTransport; default: the context's")
    .option("--transport <name>", "MailTransport, when there are several")
    .requiredOption("--from <address>", "envelope sender; <> is the null sender")
    .requiredOption("--to <address...>", "envelope recipients")
    .option("--client-ip <address>", "address of the client", "198.51.100.1")
    .option("--port <port>", "port the client connects to; default: the lowest one bound")
    .option("--user <name>", "as if authenticated as this user")
    .option("--subject <text>", "subject of a message made up here")
    .option("--message <file>", "message to judge, as an .eml file")
    .addOption(
      new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"),
    )
    .action(explain);
}

async function explain(options: ExplainOptions): Promise<void> {
  if (isIP(options.clientIp) === 0)
    throw new UsageError(`Cannot read --client-ip "${options.clientIp}": write an IPv4 or IPv6 address`);
  const from = options.from === "<>" || options.from === "" ? null : addressOf(options.from, "--from");
  const to = options.to.map((text) => addressOf(text, "--to"));
  const localPort = options.port === undefined ? undefined : parseCount(options.port, "--port");
  const configuration = await load(options);
  const { header, body } = await contentOf(options);
  const { clientIp: clientAddress, user } = options;
  const query = { from, to, clientAddress, localPort, user, header, body };
  const explanation = await explainMessage(configuration, query);
  process.stdout.write(
    options.output === "json" ? `${JSON.stringify(explanation, null, 2)}\n` : formatExplanation(explanation),
  );
  const refused = isRefused(explanation);
  if (explanation.receive.connector === undefined || refused || explanation.failed.length > 0)
    process.exitCode = 1;
}

/** What is left out, or is not in force, is said on standard error. */
function load(options: ExplainOptions): Promise<Configuration> {
  const { manifests, context, kubeconfig, namespace } = options;
  const isCluster = [context, kubeconfig, namespace].some((option) => option !== undefined);
  if (isCluster && manifests !== undefined)
    throw new UsageError("Cannot explain both a folder and a cluster: write --manifests or --context");
  if (isCluster) return loadCluster(options);
  if (manifests !== undefined) return loadFolder(manifests, options);
  throw new UsageError(
    "Cannot tell where the objects are: write --manifests <dir>, or --context <name> for a cluster",
  );
}

async function loadFolder(manifests: string, { transport }: ExplainOptions): Promise<Configuration> {
  const loaded = parseManifests(await readManifestFiles([manifests]));
  for (const fault of loaded.faults) process.stderr.write(`${formatFault(fault)}\n`);
  const resources = loaded.resources.map(({ resource }) => resource);
  const { namespaces, secrets } = loaded;
  const { snapshot } = compileSnapshot({ resources, transport, namespaces });
  if (snapshot === undefined)
    throw new Error(`No MailTransport is valid in "${manifests}": see postroom check`);
  return { snapshot, secrets };
}

async function loadCluster(options: ExplainOptions): Promise<Configuration> {
  const { context, kubeconfig: kubeconfigPath, transport } = options;
  const { kubeConfigAuth } = await import("../lib/kube/kube-config.ts");
  const auth = await kubeConfigAuth({ context, kubeconfigPath });
  const log = createLog({ level: "silent", pretty: false });
  const http = createKubeHttp({ auth, clock: systemClock, log, userAgent: "postroom-explain" });
  try {
    const live = await readLiveObjects(http, { namespace: options.namespace ?? auth.namespace, transport });
    for (const fault of live.faults) process.stderr.write(`${fault}\n`);
    const { resources, namespaces } = live;
    const { snapshot } = compileSnapshot({ resources, transport: qualifiedName(live.transport), namespaces });
    if (snapshot === undefined) throw new TypeError("A MailTransport that was found cannot be missing");
    const remark = describeHead(live, snapshot.digest);
    if (remark !== undefined) process.stderr.write(`${remark}\n`);
    return { snapshot, secrets: new Map() };
  } finally {
    http.close();
  }
}

function addressOf(text: string, option: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new UsageError(`Cannot read ${option} "${text}": write name@domain`);
  return address;
}

async function contentOf({ message, subject, from, to }: ExplainOptions) {
  if (message === undefined) {
    const fields = [
      makeField("From", from),
      makeField("To", to.join(", ")),
      makeField("Subject", subject ?? ""),
    ];
    return { header: fields, body: new Uint8Array(0) };
  }
  const text = (await readMessage(message)).toString("latin1").replace(/\r?\n/g, "\r\n");
  const end = text.indexOf("\r\n\r\n");
  const block = end < 0 ? text : text.slice(0, end + 2);
  return { header: parseHeader(block), body: Buffer.from(end < 0 ? "" : text.slice(end + 4), "latin1") };
}

async function readMessage(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new Error(`Cannot read --message "${path}": there is no such file`, { cause });
  });
}

/** One part a stage, in the order of the flow. */
export function formatExplanation(explanation: Explanation): string {
  const { receive, sender, recipients, resolution, rules, routes, copies, failed } = explanation;
  const refused = isRefused(explanation);
  const parts = [
    `Receive connector: ${receive.connector ?? "none"} (${receive.binding}; ${receive.why})\n${indent(receive.candidates)}`,
    `Sender: ${sender}\n`,
    `Recipients:\n${indent(recipients)}`,
    `Resolution:\n${indent(resolution)}`,
    `Transport rules:\n${indent(rules)}`,
    `Routing:\n${indent(routes)}`,
    `${refused ? "Result, had it been accepted" : "Result"}:\n${indent(copies)}`,
  ];
  if (failed.length > 0) parts.push(`Failed, with a DSN:\n${indent(failed)}`);
  return parts.join("\n");
}

function isRefused({ sender, recipients }: Explanation): boolean {
  return !sender.endsWith(": accepted") || recipients.some(({ answer }) => answer !== "accepted");
}

function indent(rows: readonly object[]): string {
  if (rows.length === 0) return "  none\n";
  return formatTable(rows).replace(/^(?=.)/gm, "  ");
}
