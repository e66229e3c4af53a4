/** Which namespaces' objects may attach to a MailTransport. */
import { z } from "zod";
import type { ReportFault } from "./checks.ts";
import { LabelKey, LabelValue, labelMap } from "./formats.ts";
import { type CelRule, withRules } from "./validation.ts";

const Expression = z.strictObject({
  key: LabelKey.describe("Key of the label."),
  operator: z
    .enum(["In", "NotIn", "Exists", "DoesNotExist"])
    .describe("In and NotIn compare with values; Exists and DoesNotExist only ask for the key."),
  values: z.array(LabelValue).max(64).default([]).describe("Values, for In and NotIn."),
});

const COMPARES = "self.operator in ['In', 'NotIn']";
const EXPRESSION_RULES: readonly CelRule[] = [
  {
    rule: `!(${COMPARES}) || self.values.size() > 0`,
    messageExpression: "'operator ' + self.operator + ' needs at least one value'",
    fieldPath: ".values",
  },
  {
    rule: `${COMPARES} || self.values.size() == 0`,
    messageExpression: "'operator ' + self.operator + ' takes no values'",
    fieldPath: ".values",
  },
];

const SELECTOR_NEEDED = "from: Selector needs it";

const Fields = z.strictObject({
  from: z
    .enum(["Same", "All", "Selector"])
    .default("Same")
    .describe("Same: only the transport's own namespace. Selector: it, and those whose labels match."),
  selector: z
    .strictObject({
      matchLabels: labelMap(LabelValue).describe("Labels that must be there with these values."),
      matchExpressions: z
        .array(withRules(Expression, ...EXPRESSION_RULES))
        .max(32)
        .default([])
        .describe("All of them must hold."),
    })
    .optional()
    .describe("Labels of the namespaces, for from: Selector."),
});

export const AllowedNamespaces = withRules(
  Fields,
  {
    rule: "self.from != 'Selector' || has(self.selector)",
    message: SELECTOR_NEEDED,
    fieldPath: ".selector",
  },
  {
    rule: "self.from == 'Selector' || !has(self.selector)",
    messageExpression: "'only for from: Selector, not ' + self.from",
    fieldPath: ".selector",
  },
);
export type AllowedNamespaces = z.infer<typeof AllowedNamespaces>;

export function checkAllowedNamespaces({ from, selector }: AllowedNamespaces, fault: ReportFault): void {
  if (from === "Selector" && selector === undefined) fault(["selector"], SELECTOR_NEEDED);
  if (from !== "Selector" && selector !== undefined) {
    fault(["selector"], `only for from: Selector, not ${from}`);
  }
  for (const [index, { operator, values }] of (selector?.matchExpressions ?? []).entries()) {
    const compares = operator === "In" || operator === "NotIn";
    const path = ["selector", "matchExpressions", index, "values"];
    if (compares && values.length === 0) fault(path, `operator ${operator} needs at least one value`);
    if (!compares && values.length > 0) fault(path, `operator ${operator} takes no values`);
  }
}
