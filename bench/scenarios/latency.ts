/** How long the 250 takes when the server has half of what Postfix can do at most. */
import { pipelineManifests } from "../pipeline-manifests.ts";
import { median } from "../processes.ts";
import type { Sink } from "../speed/mod.ts";
import { interleaved, milliseconds, rate, rateWithSpread, spreadCells, spreadOf, whole } from "./figures.ts";
import type { Ground, Relay } from "./ground.ts";
import { relayLoad, runIn } from "./load.ts";
import type { Findings, Goal, Scenario } from "./scenario.ts";
import { type SenderReport, send } from "./sender.ts";

const CONNECTIONS = 50;
const RUN_SECONDS = 4;

export const latency: Scenario = {
  name: "latency",
  title: "Latency of the 250 at half of Postfix's top load",
  reading: `A sender in a process of its own keeps ${CONNECTIONS} connections and sends 4 KiB messages at times that are fixed beforehand (as from many senders that know nothing of each other) to Postfix (tuned) and to Postroom with its whole pipeline on (5 agents, 200 accepted domains, 1,000 rules of which 10 match), with one worker and with two, in turns. The rate is half of Postfix's top relay rate, measured just before with smtp-source. *250*: from the end of the data to its reply, and the time that the message waited before it could be sent is counted in; *alone* leaves that out; *transaction*: from when the message was due to its 250. How late the sender's own alarm was is part of each figure but *alone*.`,
  async run(ground) {
    const sink = await ground.smtpSink();
    const postfix = await ground.postfix({ nextHopPort: sink.port });
    const transport = "limits: {maxPerDomainOutboundConnections: 50}";
    const manifests = (port: number) => pipelineManifests({ port, nextHopPort: sink.port, transport });
    const postroom = await ground.postroom({ name: "Postroom, whole pipeline", manifests });
    const two = { name: "Postroom, whole pipeline, 2 workers", manifests, args: ["--workers", "2"] };
    const ours = [postroom, await ground.postroom(two)];
    const relays: readonly Relay[] = postfix === undefined ? ours : [postfix, ...ours];
    const top = await topRates(ground, relays, sink);
    const perSecond = median(top.get(postfix ?? postroom) ?? []) / 2;
    ground.say(`${rate(perSecond)} to each`);
    const reports = await slices(ground, relays, perSecond);
    return findingsOf({ relays, top, perSecond, reports });
  },
};

async function topRates(ground: Ground, relays: readonly Relay[], sink: Sink) {
  const load = ({ port }: Relay, messages: number) =>
    relayLoad({ port, sink, messages }).then(({ perSecond }) => perSecond);
  const counts = new Map<Relay, number>();
  for (const relay of relays) counts.set(relay, await runIn(ground, { port: relay.port, sink }, RUN_SECONDS));
  return interleaved(ground.runs, relays, (relay) => load(relay, counts.get(relay) ?? 1000));
}

function slices(ground: Ground, relays: readonly Relay[], perSecond: number) {
  const count = ground.isQuick ? 2 : 8;
  return interleaved(count, relays, ({ port }, round) =>
    send({
      port,
      perSecond,
      connections: CONNECTIONS,
      seconds: ground.isQuick ? 1 : 8,
      size: 4096,
      to: "ann@contoso.example",
      seed: round + 1,
    }),
  );
}

function findingsOf(measured: {
  readonly relays: readonly Relay[];
  readonly top: ReadonlyMap<Relay, readonly number[]>;
  readonly perSecond: number;
  readonly reports: ReadonlyMap<Relay, readonly SenderReport[]>;
}): Findings {
  const { relays, top, perSecond, reports } = measured;
  const all = (relay: Relay | undefined, times: (report: SenderReport) => readonly number[]) =>
    relay === undefined ? [] : (reports.get(relay) ?? []).flatMap(times);
  const sum = (relay: Relay, count: (report: SenderReport) => number) =>
    (reports.get(relay) ?? []).reduce((total, report) => total + count(report), 0);
  const row = (relay: Relay) => [
    relay.name,
    rateWithSpread(top.get(relay) ?? []),
    rate(perSecond),
    whole(sum(relay, ({ accepted }) => accepted)),
    whole(sum(relay, ({ refused, dropped }) => refused + dropped)),
    ...spreadCells(all(relay, ({ replyMs }) => replyMs)),
    ...spreadCells(all(relay, ({ replyAloneMs }) => replyAloneMs)).slice(0, 2),
    ...spreadCells(all(relay, ({ transactionMs }) => transactionMs)),
  ];
  const columns = ["relay", "top rate", "rate", "messages", "failed"];
  const times = ["250 p50", "p99", "longest", "alone p50", "p99", "transaction p50", "p99", "longest"];
  const alarm = relays.flatMap((relay) => all(relay, ({ alarmLateMs }) => alarmLateMs));
  const replies = relays.map((relay) => ({
    relay: relay.name,
    replyMs: spreadOf(all(relay, ({ replyMs }) => replyMs)),
    transactionMs: spreadOf(all(relay, ({ transactionMs }) => transactionMs)),
    slicesP99Ms: (reports.get(relay) ?? []).map(({ replyMs }) => spreadOf(replyMs).p99),
    topRates: top.get(relay),
  }));
  return {
    tables: [{ columns: [...columns, ...times], rows: relays.map(row) }],
    goals: [
      goalOf(
        replies.map(({ replyMs }) => replyMs.p99),
        relays.length > 2,
      ),
    ],
    notes: [`The sender's alarm was late by ${spreadCells(alarm).join(", ")} (p50, p99, longest).`],
    raw: { perSecond, replies },
  };
}

/** p99 of Postfix, if it is there, and of Postroom; one worker counts. */
function goalOf([theirs = Number.NaN, ours = Number.NaN]: readonly number[], withPostfix: boolean): Goal {
  const words = { what: "p99 of the 250, Postroom with one worker against Postfix", goal: "<= 1/2" };
  if (!withPostfix) return { ...words, measured: "no Postfix", isMet: undefined };
  const measured = `${milliseconds(ours)} against ${milliseconds(theirs)}: ${(ours / theirs).toFixed(2)}`;
  return { ...words, measured, isMet: ours <= theirs / 2 };
}
