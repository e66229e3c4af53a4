import fc from "fast-check";
import { expect, test } from "vitest";
import { createRulesInForce, isActive, NO_PLACE } from "./rules-in-force.ts";

test("at any moment, in any order of moments, names the places of the rules that are active then", () => {
  const moment = fc.option(fc.nat(20), { nil: undefined });
  const dates = fc.record({ activationDate: moment, expiryDate: moment });
  fc.assert(
    fc.property(
      fc.array(dates, { maxLength: 6 }),
      fc.array(fc.nat(22), { minLength: 1 }),
      (entries, moments) => {
        const rules = entries.map((entry, index) => ({ id: entries.length - index, entry }));
        const placesAt = createRulesInForce(rules, entries.length + 2);
        for (const now of moments) {
          const want = Array.from({ length: entries.length + 2 }, (_, id) => {
            const place = rules.findIndex((rule) => rule.id === id && isActive(rule.entry, now));
            return place < 0 ? NO_PLACE : place;
          });
          expect([...placesAt(now)]).toEqual(want);
        }
      },
    ),
  );
});
