/** Factory: what makes a predicate of a rule's value, and what it may use while compiling. */
import { addressKey, parseAddress } from "../../mail/address.ts";
import { toALabel } from "../../mail/domain.ts";
import type { Pattern } from "../../mail/pattern.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import type { Predicate } from "./predicate.ts";

export type Conditions = NonNullable<RuleEntry["conditions"]>;
export type PredicateName = Exclude<keyof Conditions, "anyOf">;

/** A pattern that is built when it is first run: most never are, and one takes 8 kB. */
export interface CompiledPattern {
  /** Text that every match must hold, folded; undefined: none is known. */
  readonly literal: string | undefined;
  /** A string says what is wrong with the pattern. */
  build(): Pattern | string;
}

export interface FactoryContext {
  readonly senderAddressLocation: RuleEntry["senderAddressLocation"];
  /** Puts a word into the scan that all rules share; returns it folded. */
  addWord(word: string): string;
  compilePattern(source: string): CompiledPattern;
}

export type Factory<Name extends PredicateName> = (
  value: NonNullable<Conditions[Name]>,
  context: FactoryContext,
) => Predicate;
export type Factories = { readonly [Name in PredicateName]-?: Factory<Name> };

/** Keys of addresses as rules write them; one that is none can match nothing. */
export function addressKeys(addresses: readonly string[]): string[] {
  return addresses.flatMap((text) => {
    const address = parseAddress(text.trim());
    return address === undefined ? [] : [addressKey(address)];
  });
}

/** Domains as A-labels; "*.x" and ".x" mean the same as "x": the domain and its subdomains. */
export function domainKeys(domains: readonly string[]): string[] {
  return domains.flatMap((text) => toALabel(text.trim().replace(/^\*?\./, "")) ?? []);
}
