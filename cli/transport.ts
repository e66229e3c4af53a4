/** `postroom transport`: a pod of a MailTransport, fed by the cluster. */
import type { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { createKubeHttp } from "../lib/kube/http.ts";
import { podAuth } from "../lib/kube/pod-auth.ts";
import { parseHostPort } from "./host-port.ts";
import { addProcessFlags, type ProcessFlags, runTransport } from "./process.ts";
import { UsageError } from "./usage.ts";

interface TransportFlags extends ProcessFlags {
  readonly name?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly state: string;
  readonly http: string;
  readonly apiServer?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly listenAddress?: string;
}

export function addTransport(program: Command): void {
  const { POSTROOM_TRANSPORT, POD_NAME, POD_NAMESPACE } = process.env;
  const command = program
    .command("transport")
    .description("Run a pod of a MailTransport: what shall be in force comes from the cluster")
    .option("--name <name>", "the MailTransport (POSTROOM_TRANSPORT)", POSTROOM_TRANSPORT)
    .option("--pod <name>", "this pod (POD_NAME)", POD_NAME)
    .option("--namespace <name>", "where both are (POD_NAMESPACE); default: the token's", POD_NAMESPACE)
    .option("--state <dir>", "folder for queue, tracking log, last good snapshot", "/var/lib/postroom")
    .option("--http <host:port>", "serve /healthz, /readyz and /metrics there", "0.0.0.0:9525")
    .option("--api-server <url>", "default: as KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say")
    .option("--token-file <file>", "token of the service account, re-read as it rotates; default: the pod's")
    .option("--ca-file <file>", "certificates to trust, re-read as they rotate; default: the pod's")
    .option("--listen-address <address>", "where bindings without an address listen, instead of everywhere");
  addProcessFlags(command).action(run);
}

async function run(options: TransportFlags): Promise<void> {
  const { state, apiServer, tokenFile, caFile, listenAddress } = options;
  const transport = needed(options.name, "--name");
  const pod = needed(options.pod, "--pod");
  const http = parseHostPort(options.http);
  const auth = podAuth({
    clock: systemClock,
    ...(apiServer && { server: apiServer }),
    ...(tokenFile && { tokenFile }),
    ...(caFile && { caFile }),
  });
  const namespace = options.namespace ?? auth.namespace;
  await runTransport(options, (log) => {
    const kube = createKubeHttp({
      ...{ auth, clock: systemClock, userAgent: "postroom-transport" },
      log: log.child({ room: "kube" }),
    });
    return { source: { cluster: { http: kube, namespace, transport, pod } }, state, http, listenAddress };
  });
}

function needed(value: string | undefined, option: string): string {
  if (value !== undefined && value !== "") return value;
  throw new UsageError(`Cannot tell which transport this is: ${option} is missing`);
}
