/**
 * AUTH's passwords: the credentials Secret of a connector, and the check of one user against it.
 *
 * In: the Secret's key `users`, one `name:password` a line, the password plain or $scrypt$. Out: Credentials, and
 * what is wrong by line number, never by content. Whether a user exists shows neither in the answer nor in its time.
 *
 * @module
 */
import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

export interface Credentials {
  /** By name in lower case. */
  readonly users: ReadonlyMap<string, Password>;
  /** What every check costs, found or not; undefined: no password here is hashed. */
  readonly cost: ScryptHash | undefined;
}

export interface LineFault {
  readonly line: number;
  readonly message: string;
}

type Password = { readonly kind: "plain"; readonly digest: Buffer } | ScryptHash;

interface ScryptHash {
  readonly kind: "scrypt";
  readonly options: ScryptOptions;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** More checks than this at once would keep every thread of the pool from disk and DNS. */
const MAX_CHECKS = 2;
const MAX_WAITING = 256;
const MAX_MEMORY = 256 * 2 ** 20;
const HASH_LENGTH = 32;
const DEFAULT_COST = { N: 16384, r: 8, p: 1 };
const SCRYPT =
  /^\$scrypt\$N=(\d{1,8}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/;

/** Reads the key `users`. A bad line is left out and named; the others are in force. */
export function parseCredentials(text: string): {
  readonly credentials: Credentials;
  readonly faults: readonly LineFault[];
} {
  const users = new Map<string, Password>();
  const faults: LineFault[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const message = readLine(line, users);
    if (message !== undefined) faults.push({ line: index + 1, message });
  }
  const cost = [...users.values()].find((password) => password.kind === "scrypt");
  return { credentials: { users, cost }, faults };
}

/** True when the password is the user's. Rejects when too many checks wait already. */
export async function checkPassword(
  credentials: Credentials,
  user: string,
  password: string,
): Promise<boolean> {
  const known = credentials.users.get(user.toLowerCase());
  const digestHolds = timingSafeEqual(digestOf(password), known?.kind === "plain" ? known.digest : ABSENT);
  const cost = known?.kind === "scrypt" ? known : credentials.cost;
  const hashHolds = cost !== undefined && (await checks.run(() => scryptHolds(cost, password)));
  if (known === undefined) return false;
  return known.kind === "plain" ? digestHolds : hashHolds;
}

/** The line's password part for the credentials Secret: `$scrypt$N=16384,r=8,p=1$<salt>$<hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await deriveKey(password, salt, { options: DEFAULT_COST, length: HASH_LENGTH });
  const { N, r, p } = DEFAULT_COST;
  return `$scrypt$N=${N},r=${r},p=${p}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

function readLine(line: string, users: Map<string, Password>): string | undefined {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
  const text = line.slice(colon + 1);
  if (colon < 0 || name === "" || text === "") return "is no name:password";
  if (users.has(name)) return "names a user of an earlier line";
  const password = parsePassword(text);
  if (typeof password === "string") return password;
  users.set(name, password);
  return undefined;
}

function parsePassword(text: string): Password | string {
  // A mistyped hash must never become a plain password.
  if (!/^\$[A-Za-z0-9-]+\$/.test(text)) return { kind: "plain", digest: digestOf(text) };
  const [, n = "", r = "", p = "", salt = "", hash = ""] = SCRYPT.exec(text.trimEnd()) ?? [];
  if (n === "") return "holds no $scrypt$ hash; make one with postroom hash-password";
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: MAX_MEMORY + 2 ** 20 };
  const fault = costFault(options);
  if (fault !== undefined) return fault;
  const octets = Buffer.from(hash, "base64");
  if (octets.length < 16 || octets.length > 64) return "holds a hash that is not 16 to 64 octets long";
  return { kind: "scrypt", options, salt: Buffer.from(salt, "base64"), hash: octets };
}

/** RFC 7914 section 2: N is a power of two; and one check must neither be cheap nor take the machine. */
function costFault({
  N,
  r,
  p,
}: {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}): string | undefined {
  const isPowerOfTwo = N >= 1024 && Number.isInteger(Math.log2(N));
  if (!isPowerOfTwo || r < 1 || p < 1 || p > 16) return "holds scrypt parameters out of range";
  return 128 * N * r + 128 * r * p > MAX_MEMORY
    ? "holds scrypt parameters that need more than 256 MiB"
    : undefined;
}

async function scryptHolds({ options, salt, hash }: ScryptHash, password: string): Promise<boolean> {
  return timingSafeEqual(await deriveKey(password, salt, { options, length: hash.length }), hash);
}

function deriveKey(
  password: string,
  salt: Buffer,
  { options, length }: { readonly options: ScryptOptions; readonly length: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function digestOf(password: string): Buffer {
  return createHash("sha256").update(password).digest();
}

/** No password has this digest that anybody could find. */
const ABSENT = randomBytes(32);

/** Runs a few tasks at a time, in order of arrival. */
class Gate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_CHECKS) await this.#turn();
    else this.#running += 1;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) throw new Error("Cannot check a password: too many checks wait");
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

const checks = new Gate();
