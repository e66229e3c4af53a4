/**
 * Hash of a key, 31 bits: FNV-1a, and after each character the high bits go into the low ones. Without that, two keys
 * that meet under one seed meet under all those with the same seven low bits, and who chooses keys needs no more.
 */
const PRIME = 16_777_619;

export function keyHash(key: string, seed: number): number {
  let hash = seed;
  for (let at = 0; at < key.length; at += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(at), PRIME);
    hash ^= hash >>> 15;
  }
  return hash >>> 1;
}
