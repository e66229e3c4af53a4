/** TransportRule: conditions, exceptions and actions on every message, named as in Exchange's New-TransportRule. */
import { z } from "zod";
import { checkPattern } from "../mail/pattern.ts";
import { type ReportFault, withCheck } from "./checks.ts";
import { enabled, Quantity, Time, transportRefs } from "./common.ts";
import { AddressText, DomainText, HeaderName, IpRangeText, OneLine } from "./formats.ts";
import { type CelRule, celText, hasAnyOf, matching, withRules } from "./validation.ts";

const listOf = (what: string, item: z.ZodType<string, string> = z.string().min(1).max(256)) =>
  z.array(item).min(1).max(1000).optional().describe(what);
const words = (what: string) => listOf(what);
const Pattern = withRules(
  z
    .string()
    .min(1)
    .max(1024)
    .superRefine((source, context) => {
      const message = checkPattern(source);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    }),
  // A pattern that RE2 cannot compile is an error of the rule.
  {
    rule: "''.matches(self) in [true, false]",
    message: "write a regular expression without look-around or back-references",
  },
);
const patterns = (what: string) =>
  z
    .array(Pattern)
    .min(1)
    .max(200)
    .optional()
    .describe(
      `${what} Regular expressions without look-around or back-references, case-insensitive, linear time.`,
    );
const addresses = (what: string) => listOf(what, AddressText);

const HeaderWords = z.strictObject({
  header: HeaderName.describe("Name of the field."),
  words: z.array(z.string().min(1).max(256)).min(1).max(1000).describe("Any of these words."),
});
const HeaderPatterns = z.strictObject({
  header: HeaderName.describe("Name of the field."),
  patterns: z.array(Pattern).min(1).max(200).describe("Any of these patterns."),
});

const PredicateFields = z.strictObject({
  from: addresses("Sender is one of these addresses."),
  fromScope: z
    .enum(["InOrganization", "NotInOrganization"])
    .optional()
    .describe("InOrganization: internal mail (authenticated or externally secured) from an accepted domain."),
  fromAddressContainsWords: words("Words in the sender's address."),
  fromAddressMatchesPatterns: patterns("Sender's address."),
  senderDomainIs: listOf("Domain of the sender, subdomains included.", DomainText),
  senderIpRanges: listOf("Client address: address, CIDR or first-last.", IpRangeText),
  authenticated: z.boolean().optional().describe("True: the client authenticated. False: it did not."),
  receiveConnectorIs: words("namespace/name or name of the receive connector."),
  sentTo: addresses("Recipient is one of these addresses. Holds per recipient."),
  sentToScope: z
    .enum(["InOrganization", "NotInOrganization"])
    .optional()
    .describe("Recipient's domain is Authoritative or InternalRelay, or not. Holds per recipient."),
  recipientDomainIs: listOf("Domain of the recipient, subdomains included. Holds per recipient.", DomainText),
  recipientAddressContainsWords: words("Words in the recipient's address. Holds per recipient."),
  recipientAddressMatchesPatterns: patterns("Recipient's address. Holds per recipient."),
  anyOfRecipientAddressContainsWords: words(
    "Words in any recipient's address; then holds for all recipients.",
  ),
  anyOfRecipientAddressMatchesPatterns: patterns("Any recipient's address; then holds for all recipients."),
  anyOfToHeader: addresses("Address in the To field."),
  anyOfCcHeader: addresses("Address in the Cc field."),
  anyOfToCcHeader: addresses("Address in the To or Cc field."),
  recipientCountOver: z.number().int().min(0).optional().describe("More recipients than this."),
  subjectContainsWords: words("Words in the subject."),
  subjectMatchesPatterns: patterns("Subject."),
  subjectOrBodyContainsWords: words("Words in the subject or a text part (first 1 MiB of decoded text)."),
  subjectOrBodyMatchesPatterns: patterns("Subject or a text part (first 1 MiB of decoded text)."),
  headerContainsWords: HeaderWords.optional().describe("Words in a named header field."),
  headerMatchesPatterns: HeaderPatterns.optional().describe("Patterns in a named header field."),
  headerExists: listOf("Any of these header fields is present.", HeaderName),
  attachmentNameMatchesPatterns: patterns("File name of an attachment."),
  attachmentExtensionMatchesWords: words("File extension of an attachment, without the dot."),
  attachmentTypeIs: words("MIME type of an attachment, declared or sniffed; type/* matches all subtypes."),
  attachmentHasExecutableContent: z
    .boolean()
    .optional()
    .describe("An attachment is a program by its first octets (PE, ELF, Mach-O, script), whatever its name."),
  attachmentSizeOver: Quantity.optional().describe("An attachment, decoded, is larger."),
  hasAttachment: z.boolean().optional().describe("There is an attachment, or there is none."),
  messageSizeOver: Quantity.optional().describe("The message is larger."),
  messageTypeMatches: z
    .enum(["OOF", "AutoForward", "Encrypted", "Signed", "Calendaring", "ReadReceipt"])
    .optional()
    .describe("Kind of message, from its header and MIME type."),
  withImportance: z.enum(["Low", "Normal", "High"]).optional().describe("Importance or X-Priority."),
  sclOver: z
    .number()
    .int()
    .min(-1)
    .max(9)
    .optional()
    .describe("Spam confidence level, stamped by an agent or rule, is this or higher."),
  contentCharacterSetContainsWords: words("Charset of a text part."),
  stampIs: z
    .strictObject({
      name: z.string().min(1).max(256).describe("Name of the stamp, e.g. SCL."),
      values: z.array(z.string().max(256)).min(1).max(1000).describe("Any of these values."),
    })
    .optional()
    .describe("An agent's stamp has one of these values."),
});

/** Every predicate; all that are present must hold; within one, any value may match. */
export const Predicates = notEmpty(PredicateFields, "name at least one condition");
export type Predicates = z.infer<typeof Predicates>;

const ConditionFields = PredicateFields.extend({
  anyOf: z
    .array(Predicates)
    .min(1)
    .max(32)
    .optional()
    .describe("Alternatives: at least one of them must hold too."),
});

export const Conditions = notEmpty(
  ConditionFields,
  "name at least one condition; leave conditions out to match every message",
);
const Exceptions = notEmpty(ConditionFields, "name at least one exception, or leave exceptions out");

function notEmpty<Schema extends z.ZodObject>(schema: Schema, message: string): Schema {
  const check = (fields: object, fault: ReportFault): void => {
    if (Object.values(fields).every((value) => value === undefined)) fault([], message);
  };
  return withCheck(schema, check, { rule: hasAnyOf(Object.keys(schema.shape)), message });
}

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
