/** Changes of configuration under load: rate, p99 of the 250, failed transactions. */
import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { guarded } from "../../test/helpers/process-guard.ts";
import { pipelineManifests } from "../pipeline-manifests.ts";
import { median } from "../processes.ts";
import { interleaved, milliseconds, percent, rateWithSpread, spreadOf, whole } from "./figures.ts";
import type { Ground, Relay } from "./ground.ts";
import type { Scenario } from "./scenario.ts";
import { type SenderReport, send } from "./sender.ts";
import type { Sink } from "./sink.ts";

const REVISION = "X-Revision";
const CONNECTIONS = 20;

interface Row {
  readonly relay: Relay;
  readonly name: string;
  /** Undefined: nothing changes. */
  change?(n: number): Promise<void>;
}

interface Run extends SenderReport {
  readonly changes: number;
  /** Values of the changed rule's header field that messages bore. */
  readonly seen: number;
}

export const reload: Scenario = {
  name: "reload",
  title: "Changes of configuration under load",
  reading: `A sender with ${CONNECTIONS} connections, 50 messages each before it opens a new one, sends 4 KiB messages one after the other, with and without a change each second, in turns. Postroom has its whole pipeline on and one of its 1,000 rules is written anew, which sets another header value; that many values must arrive at the sink. Postfix gets \`postfix reload\`. *Failed* is refused, dropped or unanswered.`,
  async run(ground) {
    const sink = await ground.sink({ header: REVISION });
    const transport = "limits: {maxPerDomainOutboundConnections: 50}";
    const postroom = await ground.postroom({
      manifests: (port) => ({
        "all.yaml": pipelineManifests({ port, nextHopPort: sink.port, rules: 999, transport }),
        "changing.yaml": changingRule(0),
      }),
    });
    const postfix = await ground.postfix({ nextHopPort: sink.port });
    const rows: readonly Row[] = [
      { relay: postroom, name: "nothing changes" },
      {
        relay: postroom,
        name: "a rule changes each second",
        change: (n) => writeWhole(join(postroom.manifestsFolder, "changing.yaml"), changingRule(n)),
      },
      ...(postfix === undefined
        ? []
        : [
            { relay: postfix, name: "nothing changes" },
            { relay: postfix, name: "postfix reload each second", change: () => runReload(postfix.etc) },
          ]),
    ];
    for (const row of rows) await oneRun(ground, sink, { relay: row.relay, name: row.name });
    let changes = 0;
    const runs = await interleaved(ground.runs, rows, (row) => {
      const { change } = row;
      return oneRun(ground, sink, {
        ...row,
        ...(change === undefined
          ? {}
          : {
              change() {
                changes += 1;
                return change(changes);
              },
            }),
      });
    });
    return findingsOf(rows, runs);
  },
};

/** The same name each time: one rule of the thousand. It holds for every message. */
function changingRule(n: number): string {
  return `apiVersion: postroom.dev/v1alpha1
kind: TransportRule
metadata: {name: changing}
spec: {priority: 5000, conditions: {senderDomainIs: [source.example]}, actions: {setHeader: [{name: ${REVISION}, value: "${n}"}]}}
`;
}

/** No reader sees half of it. */
async function writeWhole(file: string, text: string): Promise<void> {
  const beside = join(dirname(file), "../being-written");
  writeFileSync(beside, text);
  renameSync(beside, file);
}

async function runReload(etc: string): Promise<void> {
  const child = guarded(spawn("postfix", ["-c", etc, "reload"], { stdio: "ignore" }));
  await new Promise((resolve) => child.once("exit", resolve));
}

async function oneRun(ground: Ground, sink: Sink, { relay, change }: Row): Promise<Run> {
  await sink.clear();
  let changes = 0;
  let isUnderWay = false;
  const seconds = ground.isQuick ? 2.5 : 5.5;
  const end = performance.now() + seconds * 1000;
  const timer = setInterval(() => {
    if (change === undefined || isUnderWay || performance.now() > end) return;
    isUnderWay = true;
    changes += 1;
    void change(changes).finally(() => {
      isUnderWay = false;
    });
  }, 1000);
  try {
    const report = await send({
      port: relay.port,
      connections: CONNECTIONS,
      messagesPerConnection: 50,
      seconds,
      size: 4096,
      to: "ann@contoso.example",
    });
    const { headerValues } = await sink.until(report.accepted, 60_000);
    return { ...report, changes, seen: headerValues };
  } finally {
    clearInterval(timer);
  }
}

function findingsOf(rows: readonly Row[], runs: ReadonlyMap<Row, readonly Run[]>) {
  const figures = rows.map((row) => {
    const all = runs.get(row) ?? [];
    return {
      relay: row.relay.name,
      name: row.name,
      rates: all.map(({ accepted, seconds }) => accepted / seconds),
      reply: spreadOf(all.flatMap(({ replyMs }) => replyMs)),
      refused: all.reduce((sum, { refused }) => sum + refused, 0),
      dropped: all.reduce((sum, { dropped }) => sum + dropped, 0),
      changes: all.reduce((sum, { changes }) => sum + changes, 0),
      unseen: all.reduce((sum, { changes, seen }) => sum + Math.max(0, changes + 1 - seen), 0),
    };
  });
  const [still, changing] = figures;
  const share = median(changing?.rates ?? []) / median(still?.rates ?? []);
  const failed = (changing?.refused ?? 0) + (changing?.dropped ?? 0);
  const columns = ["relay", "", "accepted", "250 p50", "p99", "longest", "changes", "refused", "dropped"];
  return {
    tables: [
      {
        columns,
        rows: figures.map(({ relay, name, rates, reply, changes, refused, dropped }) => [
          ...[relay, name, rateWithSpread(rates)],
          ...[reply.p50, reply.p99, reply.max].map(milliseconds),
          ...[changes, refused, dropped].map(whole),
        ]),
      },
    ],
    goals: [
      { what: "failed transactions", goal: "0", measured: whole(failed), isMet: failed === 0 },
      {
        what: "changes that no message showed (the last of a run may come too late)",
        goal: `<= ${changing === undefined ? 0 : changing.rates.length}`,
        measured: whole(changing?.unseen ?? Number.NaN),
        isMet: (changing?.unseen ?? 1) <= (changing?.rates.length ?? 0),
      },
      {
        what: "rate with a change each second",
        goal: ">= 90 %",
        measured: percent(share),
        isMet: share >= 0.9,
      },
    ],
    raw: figures,
  };
}
