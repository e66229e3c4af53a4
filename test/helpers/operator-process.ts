/**
 * `postroom operator` as a process, with the service account that a chart would give it.
 *
 *   const account = await installOperatorAccess(server);                     // install.ts
 *   const operator = await startOperator({ server, account, apiUrl: proxy.url });
 *   operator.process.lines, operator.process.rss(), await operator.metric("postroom_operator_leader")
 *   await operator.process.kill("SIGKILL");
 *
 * Two with one account are two replicas: one leads.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiServer } from "./api-server.ts";
import { eventually } from "./eventually.ts";
import type { OperatorAccount } from "./install.ts";
import { type LoggedProcess, startLogged } from "./logged-process.ts";

export interface OperatorProcessOptions {
  readonly server: ApiServer;
  readonly account: OperatorAccount;
  /** What it calls, for a proxy; left out: the server itself. */
  readonly apiUrl?: string | undefined;
  /** Further flags. */
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Flags of Node, such as --max-old-space-size=200. */
  readonly nodeArgs?: readonly string[] | undefined;
}

export interface OperatorProcess {
  readonly process: LoggedProcess;
  /** http://address:port of its endpoints. */
  readonly url: string;
  /** Of the Prometheus text: the sum over all labels that match; 0: there is no such line. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Another token in its file. */
  renewToken(): Promise<void>;
}

const HTTP_PORT = 9526;

/** Resolves when it serves /healthz; whether it leads or is ready is for the test to ask. */
export async function startOperator(options: OperatorProcessOptions): Promise<OperatorProcess> {
  const { server, account, apiUrl = server.url, args = [], env = {}, nodeArgs = [] } = options;
  // As the kubelet mounts it.
  const folder = mkdtempSync(join(server.folder, "operator-"));
  const tokenFile = join(folder, "token");
  writeFileSync(join(folder, "namespace"), account.namespace);
  const renewToken = async () => {
    writeFileSync(`${tokenFile}.new`, await server.tokenFor(account), { mode: 0o600 });
    renameSync(`${tokenFile}.new`, tokenFile);
  };
  await renewToken();
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const flags = {
    "api-server": apiUrl,
    "token-file": tokenFile,
    "ca-file": server.caFile,
    "lease-namespace": account.namespace,
    http: `${address}:${HTTP_PORT}`,
    "log-format": "json",
  };
  const main = join(import.meta.dirname, "../../bin/postroom.js");
  const named = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = startLogged({ args: [...nodeArgs, main, "operator", ...named, ...args], env });
  const url = `http://${address}:${HTTP_PORT}`;
  await eventually(async () => {
    if (child.hasEnded) return true;
    return (await fetch(`${url}/healthz`)).ok;
  });
  if (child.hasEnded) throw new Error(`postroom operator has ended:\n${child.tail()}`);
  return {
    process: child,
    url,
    metric: async (name, labels = {}) => sumOf(await (await fetch(`${url}/metrics`)).text(), name, labels),
    renewToken,
  };
}

/** Prometheus text: name{label="value",...} figure */
function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => wanted.every((pair) => line.includes(pair)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
