/** Schedule: when a deferred message is tried again, when it has expired, when its sender hears of a delay. Pure. */

export interface Retry {
  /** Attempts made so far, the one that just failed included. */
  readonly attempts: number;
  readonly now: number;
  /** Waits between attempts; the last one repeats. */
  readonly retryIntervalsMs: readonly number[];
  readonly expiresAt: number;
  /** 0 to 1, drawn by the caller: spreads the wait by a tenth either way. Left out: no spread. */
  readonly jitter?: number;
}

/**
 * When to try again (RFC 5321 §4.5.4.1), never after expiresAt: a message falls due when it expires,
 * so that the sender hears of it then and not a retry interval later.
 */
export function nextAttempt({ attempts, now, retryIntervalsMs, expiresAt, jitter = 0.5 }: Retry): number {
  const index = Math.min(Math.max(attempts, 1), retryIntervalsMs.length) - 1;
  const interval = retryIntervalsMs[index];
  if (interval === undefined) return expiresAt;
  return Math.min(now + Math.round(interval * (0.9 + 0.2 * jitter)), Math.max(expiresAt, now));
}

export function hasExpired(expiresAt: number, now: number): boolean {
  return now >= expiresAt;
}

/** True when a delay DSN (RFC 3461 §4.1 DELAY) is due. `delayNotificationMs` 0: none is ever sent. */
export function delayNoticeIsDue(message: {
  readonly receivedAt: number;
  readonly now: number;
  readonly delayNotificationMs: number;
  readonly delayNotified: boolean;
}): boolean {
  const { receivedAt, now, delayNotificationMs, delayNotified } = message;
  return !delayNotified && delayNotificationMs > 0 && now - receivedAt >= delayNotificationMs;
}
