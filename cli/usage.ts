/** Wrong use that commander cannot see: a value that cannot be read, options that do not go together. Exit code 2. */
export class UsageError extends Error {}

/** A count of one or more. */
export function parseCount(text: string, option: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`Cannot read ${option} "${text}": write a whole number of one or more`);
}
