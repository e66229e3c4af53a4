/**
 * Rules in force: the places of a rule set's rules by id, at one moment. They change only when a rule begins or ends, so
 * that a message asks once, not once for each rule.
 *
 * @module
 */
import type { RuleEntry } from "../../snapshot/schema.ts";

interface Stored {
  readonly id: number;
  readonly entry: Pick<RuleEntry, "activationDate" | "expiryDate">;
}

/** Not in force, or of another rule set. */
export const NO_PLACE = -1;

/** `count`: more than every id. `now`: milliseconds since 1970. */
export function createRulesInForce(rules: readonly Stored[], count: number): (now: number) => Int32Array {
  let places = new Int32Array(0);
  let [from, until] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return (now) => {
    if (from <= now && now < until) return places;
    places = new Int32Array(count).fill(NO_PLACE);
    for (const [place, { id, entry }] of rules.entries()) if (isActive(entry, now)) places[id] = place;
    [from, until] = nothingChanges(rules, now);
    return places;
  };
}

/** The time around a moment in which no rule begins or ends. */
function nothingChanges(rules: readonly Stored[], now: number): [from: number, until: number] {
  const moments = rules.flatMap(({ entry }) => [entry.activationDate ?? [], entry.expiryDate ?? []].flat());
  const past = moments.filter((moment) => moment <= now);
  const future = moments.filter((moment) => moment > now);
  return [
    past.reduce((latest, moment) => Math.max(latest, moment), Number.NEGATIVE_INFINITY),
    future.reduce((next, moment) => Math.min(next, moment), Number.POSITIVE_INFINITY),
  ];
}

export function isActive({ activationDate, expiryDate }: Stored["entry"], now: number): boolean {
  return (
    (activationDate === undefined || activationDate <= now) && (expiryDate === undefined || now < expiryDate)
  );
}
