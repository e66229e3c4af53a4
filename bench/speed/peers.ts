/** Who takes part, in the order of the tables. */
import { exim } from "./exim-peer.ts";
import { haraka } from "./haraka-peer.ts";
import { openSmtpd } from "./opensmtpd-peer.ts";
import type { Peer } from "./peer.ts";
import { postfix } from "./postfix-peer.ts";
import { postroom, wholePipeline } from "./postroom-peer.ts";
import type { PeerKind } from "./result.ts";

export interface Participant {
  /** For the command line. */
  readonly id: string;
  readonly kind: PeerKind;
  readonly peer: Peer;
}

const RULES = 1000;

/** The one that ratios are given to, besides the best. */
export const REFERENCE = "Postfix, tuned";

export const PARTICIPANTS: readonly Participant[] = [
  {
    id: "pipeline",
    kind: "ours",
    peer: postroom({ name: "Postroom, pipeline on", manifests: wholePipeline(RULES) }),
  },
  { id: "plain", kind: "ours", peer: postroom({ name: "Postroom, plain" }) },
  {
    id: "workers",
    kind: "ours",
    peer: postroom({
      name: "Postroom, pipeline on, 2 workers",
      manifests: wholePipeline(RULES),
      args: ["--workers", "2"],
    }),
  },
  { id: "postfix", kind: "other", peer: postfix({ tuned: true }) },
  { id: "postfix-default", kind: "other", peer: postfix({ tuned: false }) },
  { id: "haraka", kind: "other", peer: haraka() },
  { id: "exim", kind: "other", peer: exim() },
  { id: "opensmtpd", kind: "other", peer: openSmtpd() },
  { id: "none", kind: "none", peer: noRelay() },
];

/** Those named, in the order of the tables; all when none is named. Throws for a name that is none. */
export function participantsNamed(ids: readonly string[]): readonly Participant[] {
  const unknown = ids.find((id) => !PARTICIPANTS.some((one) => one.id === id));
  if (unknown !== undefined)
    throw new Error(`No peer "${unknown}": there are ${PARTICIPANTS.map(({ id }) => id).join(", ")}`);
  return ids.length === 0 ? PARTICIPANTS : PARTICIPANTS.filter(({ id }) => ids.includes(id));
}

/** The load goes straight into the sink: no relay can be faster. */
function noRelay(): Peer {
  return {
    name: "no relay",
    durability: "nothing is kept",
    isThere: async () => undefined,
    version: async () => "the load straight into the sink",
    start: async ({ nextHopPort }) => ({
      port: nextHopPort,
      pids: () => [],
      cpuSeconds: () => undefined,
      stop: async () => {},
    }),
  };
}
