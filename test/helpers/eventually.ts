/**
 * Waits for a condition, looking often; fails with what the last look found after `timeoutMs`: less than the minute after which
 * mail is tried again by itself.
 */
export async function eventually<T>(look: () => T | Promise<T>, timeoutMs = 40_000): Promise<T & {}> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const found = await look();
      if (found) return found;
      last = "the condition never held";
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  throw last instanceof Error ? last : new Error(String(last));
}
