/**
 * CommonUse: how much all shares together use of what the whole transport has: disk, places in the submission queue.
 *
 * In shared memory, a line a share. Each share says what it uses when it looks, so the sum is as old as the longest ago
 * look of another share.
 *
 * @module
 */
export interface Use {
  readonly submissionQueue: number;
  readonly diskOctets: number;
}

export interface CommonUse {
  /** Says what this share uses now; what all use together. */
  with(own: Use): Use;
}

export type UseMemory = SharedArrayBuffer;

const LINE = 2;

export function allocateUse(shares: number): UseMemory {
  return new SharedArrayBuffer(shares * LINE * BigInt64Array.BYTES_PER_ELEMENT);
}

export function createCommonUse(memory: UseMemory, share: number): CommonUse {
  const words = new BigInt64Array(memory);
  const sum = (column: number) => {
    let total = 0;
    for (let at = column; at < words.length; at += LINE) total += Number(Atomics.load(words, at));
    return total;
  };
  return {
    with({ submissionQueue, diskOctets }) {
      Atomics.store(words, share * LINE, BigInt(submissionQueue));
      Atomics.store(words, share * LINE + 1, BigInt(Math.round(diskOctets)));
      return { submissionQueue: sum(0), diskOctets: sum(1) };
    },
  };
}
