/** `postroom operator`: reconciles the objects of a cluster into transports, snapshots and statuses. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { podAuth } from "../lib/kube/pod-auth.ts";
import type { KubeAuth } from "../lib/kube/types.ts";
import { startOperator } from "../operator/main.ts";
import { parseHostPort } from "./host-port.ts";
import { addLogFlags, type LogFlags, openLog } from "./log-flags.ts";
import { onSignal } from "./signals.ts";
import { UsageError } from "./usage.ts";

interface OperatorCliOptions extends LogFlags {
  readonly namespaces?: string;
  readonly leaseNamespace?: string;
  readonly leaseName: string;
  readonly leaseDuration: string;
  readonly leaseRenewDeadline: string;
  readonly leaseRetryPeriod: string;
  readonly image: string;
  readonly http: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly apiServer?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
}

export function addOperator(program: Command): void {
  const command = program
    .command("operator")
    .description("Run the operator: objects of the cluster become transports, snapshots and statuses")
    .option(
      "--namespaces <names>",
      "look after these namespaces only, separated by commas",
      process.env.POSTROOM_NAMESPACES,
    )
    .option(
      "--lease-namespace <name>",
      "namespace of the Lease by which one replica leads; default: the pod's own",
    )
    .option("--lease-name <name>", "its name", "postroom-operator")
    .option("--lease-duration <seconds>", "another replica waits this long for one that is silent", "15")
    .option("--lease-renew-deadline <seconds>", "a leader that cannot renew for so long ends", "10")
    .option("--lease-retry-period <seconds>", "between two tries to take or renew", "2")
    .option(
      "--image <name>",
      "image of transports whose spec names none",
      process.env.POSTROOM_IMAGE ?? "postroom:latest",
    )
    .option("--http <host:port>", "serve /healthz, /readyz and /metrics there", "0.0.0.0:9526")
    .option("--kubeconfig <file>", "reach the API server as this file says, not as a pod")
    .option("--context <name>", "context of the kubeconfig")
    .option("--api-server <url>", "reach the API server there, with the files below")
    .option("--token-file <file>", "token of a service account, re-read as it rotates")
    .option("--ca-file <file>", "certificates to trust, re-read as they rotate");
  addLogFlags(command).action(run);
}

async function run(options: OperatorCliOptions): Promise<void> {
  const log = openLog(options);
  const lease = leaseOf(options);
  const auth = await chooseAuth(options);
  const ended = onSignal((signal) => log.info({ signal }, "stopping"));
  const operator = await startOperator({
    auth,
    namespaces: options.namespaces?.split(",").filter((name) => name !== ""),
    lease: { namespace: options.leaseNamespace ?? auth.namespace, ...lease },
    identity: `${process.env.POD_NAME ?? hostname()}_${randomUUID().slice(0, 8)}`,
    image: options.image,
    http: parseHostPort(options.http),
    log,
    onLost() {
      if (ended.aborted) return;
      log.error("lease lost: this process ends, whoever gets it next leads");
      process.exit(1);
    },
  });
  const end = async () => {
    await operator.stop();
    log.info("stopped");
    process.exit(0);
  };
  if (ended.aborted) return await end();
  ended.addEventListener("abort", () => void end());
}

function leaseOf(options: OperatorCliOptions) {
  const leaseDurationMs = milliseconds(options.leaseDuration, "--lease-duration");
  const renewDeadlineMs = milliseconds(options.leaseRenewDeadline, "--lease-renew-deadline");
  const retryPeriodMs = milliseconds(options.leaseRetryPeriod, "--lease-retry-period");
  if (leaseDurationMs <= renewDeadlineMs || renewDeadlineMs <= retryPeriodMs)
    throw new UsageError(
      "Cannot elect a leader: write a --lease-duration above --lease-renew-deadline, and that above --lease-retry-period",
    );
  return { name: options.leaseName, leaseDurationMs, renewDeadlineMs, retryPeriodMs };
}

function milliseconds(text: string, option: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0) return seconds * 1000;
  throw new UsageError(`Cannot read ${option} "${text}": write seconds`);
}

/** A pod needs no client-node, which costs half a second and 90 MB. */
async function chooseAuth({
  kubeconfig,
  context,
  apiServer,
  tokenFile,
  caFile,
}: OperatorCliOptions): Promise<KubeAuth> {
  const isPod = process.env.KUBERNETES_SERVICE_HOST !== undefined && kubeconfig === undefined;
  if (apiServer !== undefined || (isPod && context === undefined)) {
    return podAuth({
      clock: systemClock,
      ...(apiServer && { server: apiServer }),
      ...(tokenFile && { tokenFile }),
      ...(caFile && { caFile }),
    });
  }
  const { kubeConfigAuth } = await import("../lib/kube/kube-config.ts");
  return kubeConfigAuth({ kubeconfigPath: kubeconfig, context });
}
