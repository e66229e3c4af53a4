/** The report of a run, in Markdown. Pure. */
import { markdownTable, whole } from "./markdown.ts";
import { type CaseResult, type PeerKind, type Row, rateOf, type SpeedResult } from "./result.ts";
import { medianOf, spreadOf } from "./statistics.ts";

export interface ReportOptions {
  /** The peer that ratios are given to, besides the best. */
  readonly reference: string;
  /** The plot, as linked; left out: none. */
  readonly plot?: string;
}

export function reportOf(result: SpeedResult, { reference, plot }: ReportOptions): string {
  const kinds = new Map(result.peers.map(({ name, kind }) => [name, kind]));
  return [
    circumstances(result),
    ...(plot === undefined ? [] : [`![Messages a second for each case](${plot})`]),
    summaryOf(result, kinds, reference),
    ...result.cases.map((one) => caseTable(one, kinds, reference)),
  ].join("\n\n");
}

function circumstances({ date, minutes, command, machine, peers, skipped }: SpeedResult): string {
  const { processor, cores, memoryGigabytes, kernel, distribution, node, disk, loadBefore } = machine;
  const facts = [
    `${date.slice(0, 16).replace("T", " ")} UTC, ${minutes} minutes, \`${command}\`.`,
    `${cores} cores (${processor}), ${memoryGigabytes} GiB, ${kernel}, ${distribution}, Node ${node}; load average before the first run ${loadBefore.toFixed(1)}.`,
    `All queues on ${disk}.`,
  ].join(" ");
  const table = markdownTable(
    ["peer", "version", "before its 250"],
    peers.map(({ name, version, durability }) => [name, version, durability]),
  );
  return [facts, table, ...skipped.map((line) => `SKIPPED: ${line}`)].join("\n\n");
}

type Kinds = ReadonlyMap<string, PeerKind>;

/** Each of ours against the others, case by case. */
function summaryOf({ cases, peers }: SpeedResult, kinds: Kinds, reference: string): string {
  const ours = peers.filter(({ kind }) => kind === "ours").map(({ name }) => name);
  const rows = cases.map((one) => {
    const best = bestOf(one, kinds);
    const ratios = ours.flatMap((name) => [ratioTo(one, name, reference), ratioTo(one, name, best?.peer)]);
    return [one.case.title, ...ratios, best?.peer ?? "none"];
  });
  const header = ours.flatMap((name) => [`${name}: x ${reference}`, "x the best other"]);
  return `## Ratios of medians\n\n${markdownTable(["case", ...header, "the best other"], rows)}`;
}

function caseTable(one: CaseResult, kinds: Kinds, reference: string): string {
  const best = bestOf(one, kinds);
  const most = Math.max(...one.rows.map(({ runs }) => runs.length));
  const rows = one.rows.map((row) => [
    row.peer,
    ...speedOf(row, most),
    ratioTo(one, row.peer, reference),
    ratioTo(one, row.peer, best?.peer),
    cpuOf(row),
    row.memoryMegabytes === undefined ? "" : whole(row.memoryMegabytes),
  ]);
  const header = [
    "peer",
    "messages/s",
    "least to most",
    "runs",
    `x ${reference}`,
    "x the best other",
    "CPU µs a message",
    "MB",
  ];
  return `## ${one.case.title}\n\n\`${one.load}\`\n\n${markdownTable(header, rows)}`;
}

function speedOf({ runs, failure }: Row, most: number): readonly [string, string, string] {
  const spread = spreadOf(runs.map(rateOf));
  const fault = failure === undefined ? "" : `failed: ${failure}`;
  if (spread === undefined) return [fault, "", "0"];
  const messages = runs.reduce((sum, run) => sum + run.messages, 0) / runs.length;
  const count = `${runs.length} of ${whole(messages)}${runs.length < most && fault === "" ? ", slow" : ""}`;
  const median = digits(spread.median);
  return [
    fault === "" ? median : `${median}, then ${fault}`,
    `${digits(spread.least)} to ${digits(spread.most)}`,
    count,
  ];
}

/** Median of the runs; empty when it is not known. */
function cpuOf({ runs }: Row): string {
  const each = runs.flatMap(({ cpuSeconds, messages }) =>
    cpuSeconds === undefined ? [] : [(cpuSeconds / messages) * 1e6],
  );
  return each.length === 0 ? "" : whole(medianOf(each));
}

/** Of the other servers; undefined: none has a rate. */
function bestOf(one: CaseResult, kinds: Kinds): { readonly peer: string } | undefined {
  const others = one.rows.filter(({ peer, runs }) => kinds.get(peer) === "other" && runs.length > 0);
  return others.toSorted((a, b) => medianRate(a) - medianRate(b)).at(-1);
}

/** Of two medians; empty when one is missing. */
function ratioTo(one: CaseResult, name: string, other: string | undefined): string {
  const [mine, theirs] = [name, other].map((each) => one.rows.find(({ peer }) => peer === each));
  if (!mine?.runs.length || !theirs?.runs.length) return "";
  return (medianRate(mine) / medianRate(theirs)).toFixed(2);
}

function medianRate({ runs }: Row): number {
  return medianOf(runs.map(rateOf));
}

function digits(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : whole(rate);
}
