/**
 * What `kubectl get` shows of each kind; wide columns with -o wide only.
 *
 * Of several values a column shows the first, or all of them as JSON, which is no line for a person when they are many.
 *
 * @module
 */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly jsonPath: string;
  /** Above 0: wide only. */
  readonly priority?: number;
  readonly description?: string;
}

const text = (name: string, jsonPath: string): Column => ({ name, type: "string", jsonPath });
const number = (name: string, jsonPath: string): Column => ({ name, type: "integer", jsonPath });
const flag = (name: string, jsonPath: string): Column => ({ name, type: "boolean", jsonPath });
const first = (name: string, jsonPath: string): Column => ({
  ...text(name, jsonPath),
  description: "The first of them.",
});
const wide = (column: Column): Column => ({ ...column, priority: 1 });

const READY = text("Ready", '.status.conditions[?(@.type=="Ready")].status');
const REASON = wide(text("Reason", '.status.conditions[?(@.type=="Ready")].reason'));
const AGE: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

export const PRINTER_COLUMNS = {
  MailTransport: [
    READY,
    text("Role", ".spec.role"),
    number("Replicas", ".status.replicas"),
    number("Revision", ".status.snapshot.revision"),
    text("Acknowledged", ".status.snapshot.acknowledged"),
    number("Queue", ".status.queue.messages"),
    REASON,
    wide(text("Host", ".spec.hostname")),
    AGE,
  ],
  ReceiveConnector: [
    first("Port", ".spec.bindings[0].port"),
    text("TLS", ".spec.tls.mode"),
    READY,
    REASON,
    wide(text("Bindings", ".spec.bindings")),
    wide(text("Transports", ".status.transports")),
    AGE,
  ],
  SendConnector: [
    first("Domain", ".spec.addressSpaces[0].domain"),
    text("Routing", ".spec.routing.type"),
    READY,
    REASON,
    wide(text("Transports", ".status.transports")),
    AGE,
  ],
  AcceptedDomain: [
    first("Domain", ".spec.domains[0]"),
    text("Type", ".spec.type"),
    READY,
    REASON,
    wide(text("Transports", ".status.transports")),
    AGE,
  ],
  TransportRule: [
    number("Priority", ".spec.priority"),
    text("Mode", ".spec.mode"),
    flag("Enabled", ".spec.enabled"),
    READY,
    REASON,
    wide(text("Transports", ".status.transports")),
    AGE,
  ],
  TransportSnapshot: [
    number("Revision", ".spec.current.revision"),
    number("Canary", ".spec.canary.revision"),
    number("Refused", ".spec.refused.revision"),
    wide(text("Digest", ".spec.current.digest")),
    AGE,
  ],
  SnapshotChunk: [wide(text("Digest", ".spec.digest")), AGE],
  TransportPod: [
    number("Revision", ".status.snapshot.revision"),
    text("Source", ".status.source"),
    number("Queue", ".status.queue.messages"),
    flag("Draining", ".status.draining"),
    AGE,
  ],
} as const satisfies Readonly<Record<string, readonly Column[]>>;
