/** Prometheus metrics of the transport, in one place so that names and labels are found at a glance. */
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { createQuickCounter } from "./quick-counter.ts";
import { createQuickHistogram } from "./quick-histogram.ts";

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export type Metrics = ReturnType<typeof createMetrics>;

/** Makes a registry with every metric of the transport. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    createQuickCounter({ name: `postroom_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `postroom_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[] = []) =>
    createQuickHistogram({ name: `postroom_${name}`, help, labelNames, registers, buckets: SECONDS });
  const reloads = counter("reloads_total", "Configuration changes by outcome", ["outcome"]);
  // There from the start: a rise from nothing is none to Prometheus.
  for (const outcome of ["applied", "refused", "failed"]) reloads.inc({ outcome }, 0);
  return {
    registry,
    smtpConnections: counter("smtp_connections_total", "SMTP sessions begun", ["connector"]),
    smtpRefused: counter("smtp_refused_total", "Connections refused before a session", [
      "connector",
      "reason",
    ]),
    smtpReplies: counter("smtp_replies_total", "Replies by verb and code", ["connector", "verb", "code"]),
    smtpSessions: gauge("smtp_sessions", "Open SMTP sessions", ["connector"]),
    messagesReceived: counter("messages_received_total", "Messages accepted", ["connector"]),
    acceptSeconds: histogram("accept_duration_seconds", "End of data to reply"),
    agentRuns: counter("agent_runs_total", "Agent verdicts by event", ["agent", "event", "verdict"]),
    agentSeconds: histogram("agent_duration_seconds", "Time an agent took", ["agent", "event"]),
    categorizeSeconds: histogram("categorize_duration_seconds", "Submission to delivery queue, work only"),
    ruleHits: counter("rule_hits_total", "Transport rules by outcome", ["rule", "outcome"]),
    queueMessages: gauge("queue_messages", "Messages in a queue", ["queue", "next_hop"]),
    queueOldest: gauge("queue_oldest_seconds", "Age of the oldest message of a queue", ["queue", "next_hop"]),
    deliveries: counter("deliveries_total", "Recipients by outcome of the attempt", ["connector", "result"]),
    deliverySeconds: histogram("delivery_duration_seconds", "One attempt, connection included", [
      "connector",
    ]),
    deliveryConnections: counter("delivery_connections_total", "Connections to next hops", [
      "connector",
      "result",
    ]),
    tlsFallbacks: counter("delivery_tls_fallbacks_total", "Opportunistic TLS given up for clear text", [
      "connector",
    ]),
    dsns: counter("dsns_total", "Delivery status notifications sent", ["kind"]),
    pressure: gauge("back_pressure_level", "0 normal, 1 medium, 2 high"),
    reloads,
    reloadSeconds: histogram("reload_duration_seconds", "Change seen to change in force"),
  };
}

/** Counts what the smtp room reports. */
export function countSmtp(
  metrics: Metrics,
): (event: string, labels: Readonly<Record<string, string>>) => void {
  return (event, labels) => {
    if (event === "reply") metrics.smtpReplies.inc(labels);
    else if (event === "refused") metrics.smtpRefused.inc(labels);
    else if (event === "connection") metrics.smtpConnections.inc(labels);
  };
}

/** Counts what delivery reports; recipients are counted where they are settled. */
export function countDelivery(
  metrics: Metrics,
): (event: string, labels: Readonly<Record<string, string>>) => void {
  return (event, labels) => {
    if (event === "connection") metrics.deliveryConnections.inc(labels);
    else if (event === "tls fallback") metrics.tlsFallbacks.inc(labels);
  };
}
