/**
 * When messages shall arrive, fixed beforehand: as from many senders that know nothing of each other (exponential
 * distances), the same for the same seed. Whoever sends later than this counts the delay as waiting.
 */

/** Milliseconds from the start, ascending. */
export function arrivals(options: {
  readonly perSecond: number;
  readonly seconds: number;
  readonly seed: number;
}): number[] {
  const { perSecond, seconds, seed } = options;
  const chance = chanceFrom(seed);
  const times: number[] = [];
  for (let at = 0; ; ) {
    at += (-Math.log(1 - chance()) / perSecond) * 1000;
    if (at >= seconds * 1000) return times;
    times.push(at);
  }
}

/** mulberry32: numbers in [0, 1) that depend on the seed alone. */
function chanceFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
