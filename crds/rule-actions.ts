/** Actions of a TransportRule, named as in Exchange's New-TransportRule. */
import { z } from "zod";
import { withCheck } from "./checks.ts";
import { HeaderName, OneLine } from "./formats.ts";
import { addresses, listOf } from "./rule-lists.ts";
import { type CelRule, celText, matching } from "./validation.ts";

const ActionFields = z.strictObject({
  rejectMessage: z
    .strictObject({
      enhancedStatusCode: matching(/^5\.7\.(1|9[0-9]{2})$/, "use 5.7.1 or 5.7.900 to 5.7.999")
        .max(7)
        .default("5.7.1")
        .describe("Status in the DSN: 5.7.1, or 5.7.900 to 5.7.999."),
      reasonText: OneLine.min(1)
        .max(1024)
        .default("Delivery not authorized, message refused")
        .describe("Text in the DSN."),
    })
    .optional()
    .describe("Bounce with a DSN."),
  deleteMessage: z.boolean().optional().describe("Drop without a DSN."),
  quarantine: z
    .boolean()
    .optional()
    .describe("Keep in the quarantine queue; `postroom queue` releases or removes it."),
  redirectMessageTo: addresses("Replaces the recipients."),
  addToRecipients: addresses("Adds recipients, also to the To field."),
  copyTo: addresses("Adds recipients, also to the Cc field."),
  blindCopyTo: addresses("Adds recipients unseen."),
  setHeader: z
    .array(
      z.strictObject({
        name: HeaderName.describe("Name of the field."),
        value: OneLine.max(2000).describe("Its value."),
      }),
    )
    .min(1)
    .max(32)
    .optional()
    .describe("Sets header fields, replacing those of that name."),
  removeHeader: listOf("Removes header fields.", HeaderName),
  prependSubject: OneLine.min(1).max(256).optional().describe("Put before the subject, once."),
  applyHtmlDisclaimer: z
    .strictObject({
      text: z
        .string()
        .min(1)
        .max(5000)
        .optional()
        .describe("Text for text/plain parts; default: the HTML without its tags."),
      html: z.string().min(1).max(5000).describe("HTML for text/html parts."),
      location: z.enum(["Append", "Prepend"]).default("Append").describe("Below or above the text."),
      fallbackAction: z
        .enum(["Wrap", "Ignore", "Reject"])
        .default("Wrap")
        .describe(
          "What to do with mail that cannot be changed (signed, encrypted): wrap it as an attachment, leave it, or reject it.",
        ),
    })
    .optional()
    .describe("Disclaimer in every text part's own charset and encoding."),
  routeMessageOutboundConnector: z
    .string()
    .min(1)
    .max(507)
    .optional()
    .describe("SendConnector, name or namespace/name, whatever its address spaces."),
  routeMessageOutboundRequireTls: z.boolean().optional().describe("Only over TLS."),
  setPriority: z.enum(["High", "Normal", "Low"]).optional().describe("Order in the delivery queue."),
  setScl: z.number().int().min(-1).max(9).optional().describe("Spam confidence level; -1 is trusted."),
  logEventText: OneLine.min(1).max(500).optional().describe("Text for the log and the trace."),
});

const FATES = ["rejectMessage", "deleteMessage", "quarantine"] as const;
const NO_ACTION = "name at least one action";
const oneFate = (first: string) => `cannot go with ${first}: a message has one fate`;

/** CEL: the action is asked for; false is as if it were left out. */
const isAsked = (name: string) =>
  ActionFields.shape[name as keyof typeof ActionFields.shape].unwrap() instanceof z.ZodBoolean
    ? `(has(self.${name}) && self.${name})`
    : `has(self.${name})`;

export const Actions = withCheck(
  ActionFields,
  (actions, fault) => {
    if (!Object.values(actions).some((value) => value !== undefined && value !== false)) {
      fault([], NO_ACTION);
    }
    const fates = FATES.filter((name) => actions[name] !== undefined && actions[name] !== false);
    for (const fate of fates.slice(1)) fault([fate], oneFate(fates[0] ?? ""));
  },
  { rule: Object.keys(ActionFields.shape).map(isAsked).join(" || "), message: NO_ACTION },
  ...fateRules(),
);

/** One rule for each fate after the first: none before it is asked for. */
function fateRules(): CelRule[] {
  return FATES.slice(1).map((fate, index) => {
    const [first = "", second] = FATES.slice(0, index + 1);
    const before = second === undefined ? celText(first) : `${isAsked(first)} ? '${first}' : '${second}'`;
    const asked = FATES.slice(0, index + 1)
      .map(isAsked)
      .join(" || ");
    return {
      rule: `!${isAsked(fate)} || !(${asked})`,
      messageExpression: `'cannot go with ' + (${before}) + ': a message has one fate'`,
      fieldPath: `.${fate}`,
    };
  });
}
export type Actions = z.infer<typeof Actions>;
