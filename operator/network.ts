/** Ports of the connectors, and the NetworkPolicy that follows them. Pure. */
import { parseIp } from "../mail/ip-range.ts";
import type { Connectors, DesiredObject } from "./desired-types.ts";
import { selectorLabels } from "./labels.ts";
import { HTTP_PORT } from "./workload.ts";

export interface Ports {
  /** Where receive connectors listen, ascending. */
  readonly receive: readonly number[];
  /** Where send connectors connect to, ascending. */
  readonly send: readonly number[];
}

/** Ports of all that is in force or shall be; undefined: nothing is known of them. */
export function portsOf(snapshots: readonly (Connectors | undefined)[]): Ports | undefined {
  const known = snapshots.filter((one) => one !== undefined);
  if (known.length === 0) return undefined;
  const bindings = known.flatMap(({ receiveConnectors }) => receiveConnectors.flatMap((one) => one.bindings));
  return {
    receive: ascending(bindings.filter(({ address }) => !isLoopback(address)).map(({ port }) => port)),
    send: ascending(known.flatMap(({ sendConnectors }) => sendConnectors.flatMap(targetPorts))),
  };
}

type SendConnectors = Connectors["sendConnectors"];

function targetPorts({ routing }: SendConnectors[number]): number[] {
  if (routing.type === "MX") return [routing.port];
  return routing.smartHosts.map(({ port, protocol }) => port ?? (protocol === "LMTP" ? 24 : 25));
}

/** Nobody outside of the pod gets there. */
function isLoopback(address: string | undefined): boolean {
  const ip = address === undefined ? undefined : parseIp(address);
  if (ip === undefined) return false;
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
}

/** Each once; port 0 is any free one, which nobody can be told. */
function ascending(ports: readonly number[]): number[] {
  return [...new Set(ports)].filter((port) => port > 0).sort((a, b) => a - b);
}

/** Behind the Service kubernetes.default the API server listens on one of these in every common distribution. */
const API_SERVER_PORTS = [443, 6443, 8443, 16443];

export function networkPolicy(transport: string, { receive, send }: Ports): DesiredObject {
  const inbound = { ports: receive.map(tcp) };
  const outbound = { ports: send.map(tcp) };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: transport },
    spec: {
      podSelector: { matchLabels: selectorLabels(transport) },
      policyTypes: ["Ingress", "Egress"],
      // A rule without ports would be one for all ports.
      ingress: [
        ...(receive.length > 0 ? [inbound] : []),
        { ports: [tcp(HTTP_PORT)], from: [{ namespaceSelector: {} }] },
      ],
      egress: [
        ...(send.length > 0 ? [outbound] : []),
        { ports: [{ port: 53, protocol: "UDP" }, tcp(53)] },
        { ports: API_SERVER_PORTS.map(tcp) },
      ],
    },
  };
}

function tcp(port: number) {
  return { port, protocol: "TCP" };
}
