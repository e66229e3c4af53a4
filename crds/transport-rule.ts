/** TransportRule: conditions, exceptions and actions on every message. */
import { z } from "zod";
import { type ReportFault, withCheck } from "./checks.ts";
import { enabled, Time, transportRefs } from "./common.ts";
import { Actions } from "./rule-actions.ts";
import { Conditions, Exceptions } from "./rule-predicates.ts";

export { Actions } from "./rule-actions.ts";
export { Predicates } from "./rule-predicates.ts";

const Spec = z.strictObject({
  transportRefs,
  enabled,
  priority: z
    .number()
    .int()
    .min(0)
    .max(1000000)
    .default(1000)
    .describe("Lower runs first; then creation time, then namespace/name."),
  mode: z.enum(["Enforce", "Audit"]).default("Enforce").describe("Audit: traced, nothing done."),
  activationDate: Time.optional().describe("RFC 3339 time from which the rule runs."),
  expiryDate: Time.optional().describe("RFC 3339 time from which it no longer runs."),
  senderAddressLocation: z
    .enum(["Header", "Envelope", "HeaderOrEnvelope"])
    .default("Header")
    .describe("Where sender predicates look."),
  conditions: Conditions.optional().describe("All must hold. Left out: every message."),
  exceptions: Exceptions.optional().describe("Any of these predicates that holds releases the message."),
  actions: Actions.describe("What is done, all of them."),
  stopRuleProcessing: z
    .boolean()
    .default(false)
    .describe("Later rules do not see a message this rule matched."),
  onError: z
    .enum(["Ignore", "Defer"])
    .default("Defer")
    .describe("When the rule cannot be evaluated: skip it, or try the message again later."),
});

const NEVER = "must be later than activationDate: the rule would never run";

function checkRule({ activationDate, expiryDate }: z.output<typeof Spec>, fault: ReportFault): void {
  if (activationDate === undefined || expiryDate === undefined) return;
  if (Date.parse(expiryDate) <= Date.parse(activationDate)) {
    fault(["expiryDate"], NEVER);
  }
}

export const TransportRuleSpec = withCheck(Spec, checkRule, {
  rule: "!has(self.activationDate) || !has(self.expiryDate) || timestamp(self.activationDate) < timestamp(self.expiryDate)",
  message: NEVER,
  fieldPath: ".expiryDate",
});
export type TransportRuleSpec = z.infer<typeof TransportRuleSpec>;
