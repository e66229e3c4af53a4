/** Secrets of one transport as far as they are known, and which of them are watched. */
import type { Secrets } from "../snapshot/mod.ts";
import type { TransportMemory } from "./memory.ts";
import type { OperatorDeps } from "./own.ts";
import type { Round } from "./round.ts";

type Content = Readonly<Record<string, string>>;

/** Secrets as they are; of those that could not be looked at yet, what the pods have stays. */
export function contentsOf(
  names: ReadonlySet<string>,
  { keys }: TransportMemory,
  { secrets }: OperatorDeps,
): Secrets {
  const found = secrets.contents(names);
  const unknown = [...names].filter((name) => !found.has(name) && !secrets.isGone(name));
  const held = unknown.map((name) => [name, keys?.secrets.get(name)] as const);
  return new Map([
    ...found,
    ...held.filter((entry): entry is readonly [string, Content] => entry[1] !== undefined),
  ]);
}

/** The Secrets that objects name, and the one that pods have from us: deleted by hand, it is made anew. */
export async function follow({ key, home, memory }: Round, { secrets }: OperatorDeps): Promise<void> {
  const keys = memory.keys?.ref.secret;
  memory.keysFollowed = keys;
  const own = keys === undefined ? [] : [`${home.namespace}/${keys}`];
  await secrets.follow(key, new Set([...(memory.secretNames ?? []), ...own]));
}

export async function followKeys(round: Round, deps: OperatorDeps): Promise<void> {
  if (round.memory.keysFollowed !== round.memory.keys?.ref.secret) await follow(round, deps);
}
