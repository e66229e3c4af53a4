/** Facts about the alerts: promtool plays series against the rendered PrometheusRule. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needs } from "../helpers/debian.ts";
import { helmProgram, renderChart } from "../helpers/helm.ts";
import { run } from "../helpers/run.ts";

/** In promtool's words: a figure for each minute; `2x30` stays 2, `0+5x30` rises by 5. */
interface Row {
  readonly name: string;
  readonly alert: string;
  readonly series: Readonly<Record<string, string>>;
  readonly at?: string;
  /** Labels of what fires beside severity; undefined: nothing. */
  readonly fires?: Readonly<Record<string, string>>;
}

const POD = 'namespace="mail",pod="hub-0"';
const HUB = { transport: "mail/hub" };
const VOLUME = 'namespace="mail",persistentvolumeclaim="queue-hub-0"';

const ROWS: readonly Row[] = [
  {
    name: "a transport without a ready pod",
    alert: "PostroomNoReadyPod",
    series: { 'postroom_operator_ready_pods{transport="mail/hub"}': "0x30" },
    fires: HUB,
  },
  {
    name: "a pod that serves an older revision for minutes",
    alert: "PostroomRevisionNotInForce",
    series: {
      'postroom_operator_ready_pods{transport="mail/hub"}': "3x30",
      'postroom_operator_acknowledged_pods{transport="mail/hub"}': "2x30",
    },
    fires: HUB,
  },
  {
    name: "all pods serve the newest revision",
    alert: "PostroomRevisionNotInForce",
    series: {
      'postroom_operator_ready_pods{transport="mail/hub"}': "3x30",
      'postroom_operator_acknowledged_pods{transport="mail/hub"}': "3x30",
    },
  },
  {
    name: "a pod that refused a revision",
    alert: "PostroomRevisionRefused",
    series: { 'postroom_operator_refusals_total{transport="mail/hub"}': "0x5 1x30" },
    at: "10m",
    fires: HUB,
  },
  {
    name: "a change that a pod could not read",
    alert: "PostroomRevisionRefused",
    series: { 'postroom_reloads_total{transport="mail/hub",outcome="failed"}': "0x5 1x30" },
    at: "10m",
    fires: HUB,
  },
  {
    name: "changes that are put in force",
    alert: "PostroomRevisionRefused",
    series: { 'postroom_reloads_total{transport="mail/hub",outcome="applied"}': "0+1x30" },
  },
  {
    name: "objects that are not in force as written",
    alert: "PostroomObjectsRejected",
    series: { 'postroom_operator_rejected_objects{transport="mail/hub"}': "1x30" },
    fires: HUB,
  },
  {
    name: "mail that waits for its next hop beyond the patience of the values",
    alert: "PostroomQueueOld",
    series: { [`postroom_queue_oldest_seconds{${POD},queue="Delivery",next_hop="x"}`]: "0+60x90" },
    at: "75m",
    fires: { namespace: "mail", pod: "hub-0", queue: "Delivery", next_hop: "x" },
  },
  {
    name: "no mail that somebody set aside",
    alert: "PostroomQueueOld",
    series: { [`postroom_queue_oldest_seconds{${POD},queue="Quarantine",next_hop=""}`]: "99999x30" },
  },
  {
    name: "a long queue that grows",
    alert: "PostroomQueueGrows",
    series: { [`postroom_queue_messages{${POD},queue="Delivery",next_hop="x"}`]: "1000+500x60" },
    at: "40m",
    fires: { namespace: "mail", pod: "hub-0" },
  },
  {
    name: "no long queue that shrinks",
    alert: "PostroomQueueGrows",
    series: { [`postroom_queue_messages{${POD},queue="Delivery",next_hop="x"}`]: "90000-500x60" },
    at: "40m",
  },
  {
    name: "a message in Poison",
    alert: "PostroomPoison",
    series: { [`postroom_queue_messages{${POD},queue="Poison",next_hop=""}`]: "1x30" },
    fires: { namespace: "mail", pod: "hub-0" },
  },
  {
    name: "back pressure",
    alert: "PostroomBackPressure",
    series: { [`postroom_back_pressure_level{${POD}}`]: "1x30" },
    fires: { namespace: "mail", pod: "hub-0" },
  },
  {
    name: "a volume that fills",
    alert: "PostroomDiskFills",
    series: {
      [`postroom_back_pressure_level{${POD}}`]: "0x30",
      [`kubelet_volume_stats_used_bytes{${VOLUME}}`]: "90x30",
      [`kubelet_volume_stats_capacity_bytes{${VOLUME}}`]: "100x30",
    },
    fires: { namespace: "mail", persistentvolumeclaim: "queue-hub-0" },
  },
  {
    name: "no volume of somebody else",
    alert: "PostroomDiskFills",
    series: {
      'postroom_back_pressure_level{namespace="other",pod="hub-0"}': "0x30",
      [`kubelet_volume_stats_used_bytes{${VOLUME}}`]: "90x30",
      [`kubelet_volume_stats_capacity_bytes{${VOLUME}}`]: "100x30",
    },
  },
  {
    name: "replicas of which none leads",
    alert: "PostroomNoLeader",
    series: { 'postroom_operator_leader{pod="a"}': "0x30", 'postroom_operator_leader{pod="b"}': "0x30" },
    fires: {},
  },
  { name: "an operator that is gone", alert: "PostroomNoLeader", series: { up: "1x30" }, fires: {} },
  {
    name: "no operator with a leader",
    alert: "PostroomNoLeader",
    series: { 'postroom_operator_leader{pod="a"}': "0x30", 'postroom_operator_leader{pod="b"}': "1x30" },
  },
  {
    name: "an operator that fails again and again",
    alert: "PostroomReconciliationFails",
    series: { 'postroom_operator_reconciles_total{namespace="op",outcome="failed"}': "0+2x60" },
    at: "40m",
    fires: { namespace: "op" },
  },
  {
    name: "an operator whose role lacks something",
    alert: "PostroomOperatorForbidden",
    series: {
      'postroom_operator_requests_total{namespace="op",verb="patch",resource="services",code="403"}':
        "0+1x60",
    },
    at: "40m",
    fires: { namespace: "op", resource: "services", verb: "patch" },
  },
];

const isReady = helmProgram() !== undefined && (await needs("promtool"));

describe.skipIf(!isReady)("alerts", () => {
  const folder = mkdtempSync(join(tmpdir(), "postroom-alerts-"));
  let alerts: readonly { readonly alert?: string; readonly annotations: object; readonly labels: object }[];
  beforeAll(async () => {
    const objects = await renderChart("charts/postroom", { values: { "prometheusRule.enabled": true } });
    const rule = objects.find(({ kind }) => kind === "PrometheusRule");
    writeFileSync(join(folder, "rules.yaml"), yaml.dump(rule?.spec));
    alerts = rule?.spec.groups.flatMap(({ rules }: { rules: object[] }) => rules);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("promtool finds no fault", async () => {
    const { status, output } = await run("promtool", ["check", "rules", join(folder, "rules.yaml")]);
    expect(`${status} ${output}`).toContain(`0 Checking`);
  });

  test("each alert has a row", () => {
    expect(new Set(ROWS.map(({ alert }) => alert))).toEqual(new Set(alerts.map(({ alert }) => alert)));
  });

  test.each(ROWS)("$alert: $name", async ({ name, alert, series, at = "20m", fires }) => {
    const file = join(folder, `${name.replaceAll(/\W/g, "-")}.yaml`);
    const probe = {
      rule_files: ["rules.yaml"],
      tests: [
        {
          interval: "1m",
          input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
          // alert_rule_test would ask for the texts, too.
          promql_expr_test: [
            {
              expr: `count by (${["alertname", ...Object.keys(fires ?? {})].join(", ")}) (ALERTS{alertname="${alert}",alertstate="firing"})`,
              eval_time: at,
              exp_samples:
                fires === undefined ? [] : [{ labels: labelText({ alertname: alert, ...fires }), value: 1 }],
            },
          ],
        },
      ],
    };
    writeFileSync(file, yaml.dump(probe));
    const { status, output } = await run("promtool", ["test", "rules", file]);
    expect(`${status} ${output}`).toContain("SUCCESS");
  });
});

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return `{${pairs.join(", ")}}`;
}
