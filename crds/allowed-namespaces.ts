/** Which namespaces' objects may attach to a MailTransport. */
import { z } from "zod";
import type { ReportFault } from "./checks.ts";
import { LabelKey, LabelValue } from "./formats.ts";

const Expression = z.strictObject({
  key: LabelKey.describe("Key of the label."),
  operator: z
    .enum(["In", "NotIn", "Exists", "DoesNotExist"])
    .describe("In and NotIn compare with values; Exists and DoesNotExist only ask for the key."),
  values: z.array(LabelValue).max(64).default([]).describe("Values, for In and NotIn."),
});

export const AllowedNamespaces = z.strictObject({
  from: z
    .enum(["Same", "All", "Selector"])
    .default("Same")
    .describe("Same: only the transport's own namespace. Selector: it, and those whose labels match."),
  selector: z
    .strictObject({
      matchLabels: z
        .record(LabelKey, LabelValue)
        .refine((map) => Object.keys(map).length <= 64, { error: "must have at most 64 entries" })
        .default({})
        .describe("Labels that must be there with these values."),
      matchExpressions: z.array(Expression).max(32).default([]).describe("All of them must hold."),
    })
    .optional()
    .describe("Labels of the namespaces, for from: Selector."),
});
export type AllowedNamespaces = z.infer<typeof AllowedNamespaces>;

export function checkAllowedNamespaces({ from, selector }: AllowedNamespaces, fault: ReportFault): void {
  if (from === "Selector" && selector === undefined) fault(["selector"], "from: Selector needs it");
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
