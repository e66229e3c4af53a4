/**
 * Pace: judges how fast a client goes. It is asked with the time; it knows no clock.
 *
 * Only time in which the client owes us something counts: while we work, nobody is idle (RFC 5321 §4.5.3.2).
 *
 * @module
 */
export interface PaceLimits {
  readonly connectionInactivityTimeoutMs: number;
  readonly connectionTimeoutMs: number;
  /** Octets a second; 0: none. */
  readonly minDataRate: number;
}

export type Verdict = "idle" | "slow" | "long";

const WINDOW_MS = 60_000;
/** A check at least this often, so that a rate is found out soon after its minute. */
const MAX_CHECK_MS = 10_000;

export class Pace {
  readonly #startedAt: number;
  /** Since when the client owes us something; undefined: we are working. */
  #waitingSince: number | undefined;
  #inContent = false;
  #windowOctets = 0;
  #windowMs = 0;

  constructor(now: number) {
    this.#startedAt = now;
    this.#waitingSince = now;
  }

  /** Octets came; until wait() we are working. */
  work(now: number, octets: number): void {
    if (this.#inContent && this.#waitingSince !== undefined) this.#windowMs += now - this.#waitingSince;
    this.#windowOctets += octets;
    this.#waitingSince = undefined;
  }

  /** We are done with what came: it is the client's turn. */
  wait(now: number): void {
    this.#waitingSince ??= now;
  }

  /** Content begins or ends: only its octets have a rate. */
  content(isOpen: boolean): void {
    if (isOpen === this.#inContent) return;
    this.#inContent = isOpen;
    this.#windowOctets = 0;
    this.#windowMs = 0;
  }

  /** What is wrong now, if something is. `isBusy`: a transaction is open, which may end. */
  judge(now: number, limits: PaceLimits, isBusy: boolean): Verdict | undefined {
    const waitedMs = this.#waitingSince === undefined ? 0 : now - this.#waitingSince;
    if (this.#waitingSince !== undefined && waitedMs >= limits.connectionInactivityTimeoutMs) return "idle";
    if (this.#isTooSlow(waitedMs, limits.minDataRate)) return "slow";
    if (this.#waitingSince === undefined) return undefined;
    // An envelope that never ends is no transaction in progress; content has its rate instead.
    const longest = isBusy ? 2 * limits.connectionTimeoutMs : limits.connectionTimeoutMs;
    return !this.#inContent && now - this.#startedAt >= longest ? "long" : undefined;
  }

  /** When judge() may next find something, in ms from now. */
  nextCheckMs(now: number, limits: PaceLimits): number {
    const idle = (this.#waitingSince ?? now) + limits.connectionInactivityTimeoutMs - now;
    const long = this.#startedAt + limits.connectionTimeoutMs - now;
    return Math.max(1, Math.min(MAX_CHECK_MS, idle, long > 0 ? long : MAX_CHECK_MS));
  }

  #isTooSlow(waitedMs: number, minDataRate: number): boolean {
    if (!this.#inContent || minDataRate === 0) return false;
    const windowMs = this.#windowMs + waitedMs;
    if (windowMs < WINDOW_MS) return false;
    if ((this.#windowOctets * 1000) / windowMs < minDataRate) return true;
    this.#windowOctets = 0;
    this.#windowMs = -waitedMs; // what was waited so far belongs to the window that ends here
    return false;
  }
}
