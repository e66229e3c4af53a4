/**
 * Whether a live object is as desired: every desired field is there with the same value, whatever else is there. Pure.
 *
 * The server writes some values in its own way: it leaves out what is empty or zero, and rewrites quantities ("1024Mi" is
 * "1Gi"). Those are the same.
 */

/** True when `live` has all that `desired` says. A list must have the same length: items of others in it are a difference. */
export function covers(live: unknown, desired: unknown): boolean {
  return holds(live, desired, false);
}

/** What `live` has in the places that `desired` speaks of. */
export function project(live: unknown, desired: unknown): unknown {
  if (Array.isArray(desired) && Array.isArray(live) && live.length === desired.length)
    return desired.map((item, index) => project(live[index], item));
  if (!isRecord(desired) || !isRecord(live)) return live;
  return Object.fromEntries(Object.keys(desired).map((key) => [key, project(live[key], desired[key])]));
}

/** JSON with sorted keys. */
export function sortedJson(value: unknown): string {
  const sorted = (_: string, field: unknown) =>
    isRecord(field) ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1))) : field;
  return JSON.stringify(value, sorted) ?? "";
}

/** Fields whose values are quantities, and maps of quantities. */
const QUANTITIES: ReadonlySet<string> = new Set(["requests", "limits", "sizeLimit", "divisor"]);

function holds(live: unknown, desired: unknown, isQuantity: boolean): boolean {
  if (live === desired) return true;
  if (live === undefined || live === null) return isEmpty(desired);
  if (Array.isArray(desired))
    return (
      Array.isArray(live) &&
      live.length === desired.length &&
      desired.every((item, index) => holds(live[index], item, false))
    );
  if (isRecord(desired))
    return (
      isRecord(live) &&
      Object.entries(desired).every(([key, value]) =>
        holds(live[key], value, isQuantity || QUANTITIES.has(key)),
      )
    );
  return isQuantity && quantity(live) === quantity(desired);
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isRecord(value)) return Object.values(value).every(isEmpty);
  return !value;
}

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a quantity says; anything else as it is. */
function quantity(value: unknown): unknown {
  const parts = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([numkMGTPE]?i?)$/.exec(String(value));
  const factor = SUFFIXES[parts?.[2] ?? ""];
  return parts === null || factor === undefined ? value : Number((Number(parts[1]) * factor).toPrecision(15));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
