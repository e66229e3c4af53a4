/** The Grafana dashboard of charts/postroom, from a table of what it shows. Pure. */

interface Panel {
  readonly title: string;
  readonly unit: string;
  /** [query, legend]. */
  readonly queries: readonly (readonly [string, string])[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const PODS = 'transport=~"$transport"';
const RATE = "[$__rate_interval]";

function panel(title: string, unit: string, ...queries: Panel["queries"]): Panel {
  return { title, unit, queries };
}

function rate(metric: string, by: string, more = ""): string {
  return `sum by (${by}) (rate(${metric}{${PODS}${more}}${RATE}))`;
}

function quantile(q: number, metric: string, filter = PODS): string {
  return `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket{${filter}}${RATE})))`;
}

const ROWS: readonly Row[] = [
  {
    title: "Mail",
    panels: [
      panel("Accepted", "mps", [rate("postroom_messages_received_total", "connector"), "{{connector}}"]),
      panel("Recipients by outcome", "cps", [
        rate("postroom_deliveries_total", "connector, result"),
        "{{connector}} {{result}}",
      ]),
      panel("Queues", "short", [`sum by (queue) (postroom_queue_messages{${PODS}})`, "{{queue}}"]),
      panel("Oldest message", "s", [
        `topk(10, max by (queue, next_hop) (postroom_queue_oldest_seconds{${PODS}}))`,
        "{{queue}} {{next_hop}}",
      ]),
      panel(
        "End of data to 250",
        "s",
        [quantile(0.5, "postroom_accept_duration_seconds"), "p50"],
        [quantile(0.99, "postroom_accept_duration_seconds"), "p99"],
      ),
      panel("Sorting into next hops", "s", [quantile(0.99, "postroom_categorize_duration_seconds"), "p99"]),
      panel(
        "One delivery attempt",
        "s",
        [quantile(0.5, "postroom_delivery_duration_seconds"), "p50"],
        [quantile(0.99, "postroom_delivery_duration_seconds"), "p99"],
      ),
      panel("Delivery status notifications", "cps", [rate("postroom_dsns_total", "kind"), "{{kind}}"]),
    ],
  },
  {
    title: "Sessions",
    panels: [
      panel("Open sessions", "short", [
        `sum by (connector) (postroom_smtp_sessions{${PODS}})`,
        "{{connector}}",
      ]),
      panel("New sessions", "cps", [rate("postroom_smtp_connections_total", "connector"), "{{connector}}"]),
      panel("Refused before a session", "cps", [
        rate("postroom_smtp_refused_total", "connector, reason"),
        "{{connector}} {{reason}}",
      ]),
      panel("Replies 4yz and 5yz", "cps", [
        rate("postroom_smtp_replies_total", "verb, code", ', code=~"[45].."'),
        "{{verb}} {{code}}",
      ]),
      panel("Connections to next hops", "cps", [
        rate("postroom_delivery_connections_total", "connector, result"),
        "{{connector}} {{result}}",
      ]),
      panel("TLS given up for clear text", "cps", [
        rate("postroom_delivery_tls_fallbacks_total", "connector"),
        "{{connector}}",
      ]),
      panel("Agents", "cps", [
        rate("postroom_agent_runs_total", "agent, verdict", ', verdict!="pass"'),
        "{{agent}} {{verdict}}",
      ]),
      panel("Time of agents", "s", [
        `histogram_quantile(0.99, sum by (le, agent) (rate(postroom_agent_duration_seconds_bucket{${PODS}}${RATE})))`,
        "{{agent}} p99",
      ]),
      panel("Rules that matched", "cps", [
        `topk(10, ${rate("postroom_rule_hits_total", "rule, outcome")})`,
        "{{rule}} {{outcome}}",
      ]),
      panel("Back pressure", "short", [
        `max by (namespace, pod) (postroom_back_pressure_level{${PODS}})`,
        "{{namespace}}/{{pod}}",
      ]),
    ],
  },
  {
    title: "Configuration",
    panels: [
      panel(
        "Pods with the newest revision",
        "short",
        [`max by (transport) (postroom_operator_acknowledged_pods{${PODS}})`, "{{transport}} in force"],
        [`max by (transport) (postroom_operator_ready_pods{${PODS}})`, "{{transport}} ready"],
      ),
      panel("Revision", "short", [
        `max by (transport) (postroom_operator_revision{${PODS}})`,
        "{{transport}}",
      ]),
      panel("Objects not in force as written", "short", [
        `max by (transport) (postroom_operator_rejected_objects{${PODS}})`,
        "{{transport}}",
      ]),
      panel(
        "Changes in pods",
        "cps",
        [rate("postroom_reloads_total", "outcome"), "{{outcome}}"],
        [
          `sum by (transport) (rate(postroom_operator_refusals_total{${PODS}}${RATE}))`,
          "{{transport}} refused",
        ],
      ),
      panel("Change read to change in force", "s", [
        quantile(0.99, "postroom_reload_duration_seconds"),
        "p99",
      ]),
    ],
  },
  {
    title: "Operator",
    panels: [
      panel("Leader", "short", ["sum by (pod) (postroom_operator_leader)", "{{pod}}"]),
      panel("Reconciliations", "cps", [
        `sum by (outcome) (rate(postroom_operator_reconciles_total${RATE}))`,
        "{{outcome}}",
      ]),
      panel("One reconciliation", "s", [
        quantile(0.99, "postroom_operator_reconcile_duration_seconds", ""),
        "p99",
      ]),
      panel("Calls of the API server", "reqps", [
        `sum by (verb, code) (rate(postroom_operator_requests_total${RATE}))`,
        "{{verb}} {{code}}",
      ]),
      panel(
        "Statuses",
        "short",
        ["sum(postroom_operator_status_depth)", "waiting"],
        [`sum by (outcome) (rate(postroom_operator_status_writes_total${RATE}))`, "{{outcome}} a second"],
      ),
      panel(
        "Written for pods",
        "short",
        [`sum(increase(postroom_operator_heads_written_total${RATE}))`, "switches"],
        [`sum(increase(postroom_operator_chunk_bytes_written_total${RATE}))`, "octets of chunks"],
      ),
      panel(
        "Memory",
        "bytes",
        [`process_resident_memory_bytes{${PODS}}`, "{{namespace}}/{{pod}}"],
        [
          "process_resident_memory_bytes and on (namespace, pod) postroom_operator_leader",
          "operator {{pod}}",
        ],
      ),
      panel("CPU", "short", [
        `sum by (namespace, pod) (rate(process_cpu_seconds_total{${PODS}}${RATE}))`,
        "{{namespace}}/{{pod}}",
      ]),
    ],
  },
];

const WIDTH = 8;
const HEIGHT = 7;
const COLUMNS = 24 / WIDTH;

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana.
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

export function dashboard(): object {
  let y = 0;
  let id = 0;
  const panels = ROWS.flatMap(({ title, panels: ofRow }) => {
    id += 1;
    const head = { id, type: "row", title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
    const placed = ofRow.map((one, n) => {
      id += 1;
      const place = { x: (n % COLUMNS) * WIDTH, y: y + 1 + Math.floor(n / COLUMNS) * HEIGHT };
      return graph(id, one, place);
    });
    y += 1 + Math.ceil(ofRow.length / COLUMNS) * HEIGHT;
    return [head, ...placed];
  });
  return {
    uid: "postroom",
    title: "Postroom",
    tags: ["mail", "postroom"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: { list: [datasource(), transports()] },
    panels,
  };
}

function graph(
  id: number,
  { title, unit, queries }: Panel,
  { x, y }: { readonly x: number; readonly y: number },
) {
  return {
    id,
    type: "timeseries",
    title,
    datasource: DATASOURCE,
    gridPos: { x, y, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: queries.map(([expr, legendFormat], n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}

function datasource() {
  return { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" };
}

function transports() {
  return {
    name: "transport",
    type: "query",
    label: "Transport",
    datasource: DATASOURCE,
    query: { query: "label_values(postroom_back_pressure_level, transport)", refId: "transports" },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  };
}
