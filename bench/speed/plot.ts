/** The plot of a result: messages a second for each case and server. Pure. */
import type { Bar, Plot } from "./bars.ts";
import { whole } from "./markdown.ts";
import { type CaseResult, type PeerKind, type Row, rateOf, type SpeedResult } from "./result.ts";
import { type Spread, spreadOf } from "./statistics.ts";

/** Notes give the ratio to `reference` where it has a rate. */
export function plotOf({ cases, peers, machine, date }: SpeedResult, reference: string): Plot {
  const kinds = new Map(peers.map(({ name, kind }) => [name, kind]));
  return {
    title: "Messages a second, relayed and on disk before their 250",
    subtitle: `Median, least and most of interleaved runs; each case on its own scale. ${machine.cores} cores for load, server and sink, ${date.slice(0, 10)}.`,
    groups: cases.map((one) => ({ title: one.case.title, bars: barsOf(one, kinds, reference) })),
  };
}

function barsOf(one: CaseResult, kinds: ReadonlyMap<string, PeerKind>, reference: string): Bar[] {
  const base = spreadOfPeer(one.rows.find(({ peer }) => peer === reference));
  return one.rows
    .filter(({ peer }) => kinds.get(peer) !== "none")
    .map((row) => {
      const value = spreadOfPeer(row);
      const tone = kinds.get(row.peer) === "ours" ? "ours" : row.peer === reference ? "reference" : "other";
      return { label: row.peer, tone, note: noteOf(value, base), ...(value === undefined ? {} : { value }) };
    });
}

function noteOf(value: Spread | undefined, base: Spread | undefined): string {
  if (value === undefined) return "failed";
  const rate = `${whole(value.median)}/s`;
  return base === undefined ? rate : `${rate}, x ${(value.median / base.median).toFixed(1)}`;
}

function spreadOfPeer(row: Row | undefined): Spread | undefined {
  return spreadOf((row?.runs ?? []).map(rateOf));
}
