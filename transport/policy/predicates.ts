/** All predicates: the schema's conditions object made into compiled predicates. */
import { attachmentPredicates } from "./attachment-predicates.ts";
import type { Conditions, Factories, Factory, FactoryContext, PredicateName } from "./factory.ts";
import { messagePredicates } from "./message-predicates.ts";
import type { Predicate } from "./predicate.ts";
import { recipientPredicates } from "./recipient-predicates.ts";
import { senderPredicates } from "./sender-predicates.ts";
import { textPredicates } from "./text-predicates.ts";

// The type makes the compiler name a predicate of the schema that nobody built.
const FACTORIES: Factories = {
  ...senderPredicates,
  ...recipientPredicates,
  ...textPredicates,
  ...attachmentPredicates,
  ...messagePredicates,
};

const NAMES = Object.keys(FACTORIES) as PredicateName[];

/** Predicates of one conditions object or alternative, cheap ones first. `prefix` goes before their names. */
export function compilePredicates(
  conditions: Omit<Conditions, "anyOf">,
  context: FactoryContext,
  prefix = "",
): Predicate[] {
  // In our order, not the manifest's.
  const names = NAMES.filter((name) => conditions[name] !== undefined);
  return names
    .flatMap((name) => compileOne(name, conditions, context) ?? [])
    .map((predicate) => ({ ...predicate, name: prefix + predicate.name }))
    .sort((a, b) => a.cost - b.cost);
}

function compileOne<Name extends PredicateName>(
  name: Name,
  conditions: Omit<Conditions, "anyOf">,
  context: FactoryContext,
): Predicate | undefined {
  const value = conditions[name];
  // FACTORIES[name] takes the value of that very name, which the compiler cannot see through an indexed access.
  const factory = FACTORIES[name] as unknown as Factory<Name>;
  return value === undefined ? undefined : factory(value as NonNullable<Conditions[Name]>, context);
}
