/**
 * DnsResolver: look-ups whose answers tell "none" from "unknown". systemResolver() asks real servers.
 *
 * Answers are kept for their TTL (names and records without one: a minute), 10,000 of each kind at most;
 * failures for five seconds, so that a dead server is not asked for each message.
 *
 * @module
 */
import { lookup, Resolver } from "node:dns/promises";
import { type Clock, systemClock } from "../../lib/clock.ts";

export type DnsAnswer<Row> =
  | { readonly kind: "found"; readonly records: readonly Row[] }
  /** The name stands, without records of this type. */
  | { readonly kind: "none" }
  | { readonly kind: "nxdomain" }
  /** SERVFAIL, REFUSED, time-out. */
  | { readonly kind: "unknown"; readonly reason: string };

export interface MxRow {
  readonly exchange: string;
  readonly preference: number;
}

export interface DnsResolver {
  mx(name: string): Promise<DnsAnswer<MxRow>>;
  /** A or AAAA records. */
  lookup(name: string, family: Family): Promise<DnsAnswer<string>>;
  /** As the machine resolves names: its hosts file and search domains too. For smart hosts. */
  lookupHost(name: string, family: Family): Promise<DnsAnswer<string>>;
  /** A and AAAA records, [] when there are none; rejects when it can't be known. As agents ask. */
  addresses(name: string): Promise<readonly string[]>;
  /** TXT records, joined per record; as addresses. */
  texts(name: string): Promise<readonly string[]>;
}

export type Family = 4 | 6;

const MAX_ENTRIES = 10_000;
const DEFAULT_TTL_MS = 60_000;
const LONGEST_TTL_MS = 3_600_000;
const FAILURE_TTL_MS = 5000;

interface Timed<Row> {
  readonly answer: DnsAnswer<Row>;
  readonly ttlMs: number;
}

/** Asks these servers ("ip" or "ip:port"), or left out the system's. */
export function systemResolver(servers?: readonly string[], clock: Clock = systemClock): DnsResolver {
  const resolver = new Resolver({ timeout: 5000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const mx = cached(clock, async (name) =>
    untimed(
      (await resolver.resolveMx(name)).map(({ exchange, priority }) => ({ exchange, preference: priority })),
    ),
  );
  const txt = cached(clock, async (name) =>
    untimed((await resolver.resolveTxt(name)).map((parts) => parts.join(""))),
  );
  const ip4 = cached(clock, async (name) => withTtl(await resolver.resolve4(name, { ttl: true })));
  const ip6 = cached(clock, async (name) => withTtl(await resolver.resolve6(name, { ttl: true })));
  const host4 = cached(clock, (name) => systemAddresses(name, 4));
  const host6 = cached(clock, (name) => systemAddresses(name, 6));
  const look = (name: string, family: Family) => (family === 4 ? ip4(name) : ip6(name));
  const lookHost = (name: string, family: Family) => (family === 4 ? host4(name) : host6(name));
  return {
    mx,
    lookup: look,
    lookupHost: servers === undefined ? lookHost : look,
    addresses: async (name) => certain(name, await Promise.all([ip4(name), ip6(name)])),
    texts: async (name) => certain(name, [await txt(name)]),
  };
}

/** What was found, unless part of it is unknown and nothing was. */
function certain(name: string, answers: readonly DnsAnswer<string>[]): readonly string[] {
  const records = answers.flatMap((answer) => (answer.kind === "found" ? answer.records : []));
  const unknown = answers.find((answer) => answer.kind === "unknown");
  if (records.length === 0 && unknown !== undefined) {
    throw new Error(`Cannot look up "${name}": ${unknown.reason}`);
  }
  return records;
}

interface Found<Row> {
  readonly records: readonly Row[];
  readonly ttlMs: number;
}

function untimed<Row>(records: readonly Row[]): Found<Row> {
  return { records, ttlMs: DEFAULT_TTL_MS };
}

async function systemAddresses(name: string, family: 4 | 6): Promise<Found<string>> {
  const found = await lookup(name, { family, all: true });
  return { records: found.map(({ address }) => address), ttlMs: FAILURE_TTL_MS * 2 };
}

function withTtl(rows: readonly { address: string; ttl: number }[]): Found<string> {
  const ttl = Math.min(...rows.map((row) => row.ttl * 1000), LONGEST_TTL_MS);
  return { records: rows.map(({ address }) => address), ttlMs: Math.max(ttl, 1000) };
}

async function ask<Row>(query: () => Promise<Found<Row>>): Promise<Timed<Row>> {
  try {
    const { records, ttlMs } = await query();
    return { answer: records.length > 0 ? { kind: "found", records } : { kind: "none" }, ttlMs };
  } catch (error) {
    return failure((error as NodeJS.ErrnoException).code ?? "");
  }
}

/** c-ares says ENOTFOUND for NXDOMAIN and ENODATA for an empty answer; getaddrinfo says ENOTFOUND for both. */
function failure<Row>(code: string): Timed<Row> {
  if (code === "ENOTFOUND") return { answer: { kind: "nxdomain" }, ttlMs: DEFAULT_TTL_MS };
  if (code === "ENODATA") return { answer: { kind: "none" }, ttlMs: DEFAULT_TTL_MS };
  return { answer: { kind: "unknown", reason: code === "" ? "no answer" : code }, ttlMs: FAILURE_TTL_MS };
}

/** Remembers answers until their time is over, and shares look-ups that are under way. */
function cached<Row>(clock: Clock, query: (name: string) => Promise<Found<Row>>) {
  const known = new Map<string, { readonly answer: DnsAnswer<Row>; readonly until: number }>();
  const pending = new Map<string, Promise<DnsAnswer<Row>>>();
  const look = async (name: string): Promise<DnsAnswer<Row>> => {
    const { answer, ttlMs } = await ask(() => query(name));
    pending.delete(name);
    known.delete(name);
    known.set(name, { answer, until: clock.now() + ttlMs });
    const oldest = known.keys().next().value;
    if (known.size > MAX_ENTRIES && oldest !== undefined) known.delete(oldest);
    return answer;
  };
  return (name: string): Promise<DnsAnswer<Row>> => {
    const hit = known.get(name);
    if (hit !== undefined && hit.until > clock.now()) return Promise.resolve(hit.answer);
    const running = pending.get(name);
    if (running !== undefined) return running;
    const answer = look(name);
    pending.set(name, answer);
    return answer;
  };
}
