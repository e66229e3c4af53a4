/**
 * Hashes of keys that strangers may choose: FNV-1a, and after each character the high bits go into the low ones. Without
 * that, two keys that meet under one seed meet under all those with the same seven low bits, and who chooses keys needs
 * no more.
 *
 * @module
 */
const PRIME = 16_777_619;

/** 31 bits. */
export function keyHash(key: string, seed: number): number {
  return walk(key, seed, PRIME) >>> 1;
}

/** 32 bits with a sign. `factor`: odd; walks with other ones meet elsewhere. */
export function walk(key: string, seed: number, factor: number): number {
  let hash = seed;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), factor);
    hash ^= hash >>> 15;
  }
  return hash;
}
