/** Runs `work` for every item, at most `limit` at a time. Rejects with the first fault, once nothing runs any more. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  // One iterator for all: each takes what is next.
  const rest = items[Symbol.iterator]();
  const runner = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await work(next.value);
  };
  const ends = await Promise.allSettled(Array.from({ length: limit }, runner));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
