/**
 * JoinedShares: several shares driven as one. A configuration is in force in all of them or in none.
 *
 * Some may be there only to deliver what an earlier run with more shares has left: they take no mail, and one that is
 * empty is retired.
 *
 * @module
 */
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { Configuration, PreparedShare, Share } from "./share.ts";

export interface JoinedShares extends Share {
  /** Closes a share that holds no message and takes none. False: it holds some, and goes on. */
  retire(share: Share): Promise<boolean>;
}

/** Shares that take mail first. `left` take none. */
export function joinShares(taking: readonly Share[], left: readonly Share[] = []): JoinedShares {
  const shares = new Set([...taking, ...left.map(deliveringOnly)]);
  const byLeft = new Map(left.map((share, at) => [share, [...shares][taking.length + at] as Share]));
  const turn = createTurn();
  const all = <Result>(act: (share: Share) => Promise<Result>) => Promise.all([...shares].map(act));

  return {
    async prepare(next): Promise<PreparedShare> {
      const over = await turn.begin();
      try {
        const prepared = await prepareAll([...shares], next);
        const end = (act: (one: PreparedShare) => Promise<void>) => () =>
          Promise.all(prepared.map(act)).then(over, (cause: unknown) => {
            over();
            throw cause;
          });
        return {
          diagnostics: unique(prepared.flatMap(({ diagnostics }) => diagnostics)),
          take: end((one) => one.take()),
          drop: end((one) => one.drop()),
        };
      } catch (cause) {
        over();
        throw cause;
      }
    },
    startWork: () => all((share) => share.startWork()).then(() => {}),
    setDraining: (draining) => all((share) => share.setDraining(draining)).then(() => {}),
    bindings: () => taking[0]?.bindings() ?? [],
    async look() {
      const seen = await all((share) => share.look());
      return {
        sessions: seen.reduce((sum, { sessions }) => sum + sessions, 0),
        queues: seen.flatMap(({ queues }) => queues),
      };
    },
    metrics: () => all((share) => share.metrics()).then((each) => each.flat()),
    rest: (graceMs) => all((share) => share.rest(graceMs)).then(() => {}),
    close: () => all((share) => share.close()).then(() => {}),
    async retire(given) {
      const over = await turn.begin();
      try {
        const share = byLeft.get(given);
        if (share === undefined || !(await isEmpty(share))) return false;
        shares.delete(share);
        await share.rest(0);
        await share.close();
        return true;
      } finally {
        over();
      }
    },
  };
}

/** All, or none: one that cannot drops it in all others. */
async function prepareAll(shares: readonly Share[], next: Configuration): Promise<readonly PreparedShare[]> {
  const tries = await Promise.allSettled(shares.map((share) => share.prepare(next)));
  const failed = tries.find((one) => one.status === "rejected");
  const prepared = tries.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (failed === undefined) return prepared;
  await Promise.all(prepared.map((one) => one.drop()));
  throw failed.reason;
}

/** What several shares say of the same object is said once. */
function unique(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...new Map(diagnostics.map((one) => [JSON.stringify(one), one])).values()];
}

const NO_CONNECTORS: Configuration["snapshot"]["receiveConnectors"] = [];

function deliveringOnly(share: Share): Share {
  return {
    ...share,
    prepare: ({ snapshot, secrets }) =>
      share.prepare({ snapshot: { ...snapshot, receiveConnectors: NO_CONNECTORS }, secrets }),
  };
}

async function isEmpty(share: Share): Promise<boolean> {
  return (await share.look()).queues.every(({ messages }) => messages === 0);
}

/** One after the other: begin() resolves when it is one's turn, and what it resolves to ends the turn. */
function createTurn() {
  let last: Promise<void> = Promise.resolve();
  return {
    async begin(): Promise<() => void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const before = last;
      last = promise;
      await before;
      return resolve;
    },
  };
}
