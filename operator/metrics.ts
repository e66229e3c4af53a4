/** Prometheus metrics of the operator, in one place. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type OperatorMetrics = ReturnType<typeof createOperatorMetrics>;

export function createOperatorMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `postroom_operator_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `postroom_operator_${name}`, help, labelNames, registers });
  const ofTransports = {
    revision: gauge("revision", "Revision that the head names", ["transport"]),
    acknowledged: gauge("acknowledged_pods", "Ready pods that serve the revision of the head", ["transport"]),
    ready: gauge("ready_pods", "Ready pods", ["transport"]),
    rejected: gauge("rejected_objects", "Objects that are not in force as written", ["transport"]),
    refusals: counter("refusals_total", "Revisions that a pod refused", ["transport"]),
  };
  return {
    registry,
    ...ofTransports,
    /** The transport is gone: what was said of it is said no more. */
    forget(transport: string) {
      for (const one of Object.values(ofTransports)) one.remove({ transport });
    },
    requests: counter("requests_total", "Calls of the Kubernetes API", ["verb", "resource", "code"]),
    reconciles: counter("reconciles_total", "Reconciliations by outcome", ["outcome"]),
    reconcileSeconds: new Histogram({
      name: "postroom_operator_reconcile_duration_seconds",
      help: "One reconciliation of one MailTransport",
      buckets: SECONDS,
      registers,
    }),
    heads: counter(
      "heads_written_total",
      "Heads written: switches of a transport to another revision or canary",
    ),
    chunkBytes: counter("chunk_bytes_written_total", "Octets of chunks written, compressed"),
    statusWrites: counter("status_writes_total", "Statuses of children written", ["outcome"]),
    statusDepth: gauge("status_depth", "Statuses that wait to be written"),
    leader: gauge("leader", "1: this replica leads"),
  };
}
