/** Ids of sessions: 64 random bits each, fetched for many sessions at once. */
import { randomFillSync } from "node:crypto";

const OCTETS = 8;
const pool = Buffer.alloc(OCTETS * 256);
let used = pool.length;

/** 16 hexadecimal digits, upper case. */
export function sessionId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += OCTETS;
  return pool.toString("hex", used - OCTETS, used).toUpperCase();
}
