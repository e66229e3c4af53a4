/** Predicates of a TransportRule: what its conditions and exceptions may ask, named as in Exchange's New-TransportRule. */
import { z } from "zod";
import { checkPattern } from "../mail/pattern.ts";
import { type ReportFault, withCheck } from "./checks.ts";
import { Quantity } from "./common.ts";
import { DomainText, HeaderName, IpRangeText } from "./formats.ts";
import { addresses, listOf, words } from "./rule-lists.ts";
import { hasAnyOf, withRules } from "./validation.ts";

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
export const Exceptions = notEmpty(ConditionFields, "name at least one exception, or leave exceptions out");

function notEmpty<Schema extends z.ZodObject>(schema: Schema, message: string): Schema {
  const check = (fields: object, fault: ReportFault): void => {
    if (Object.values(fields).every((value) => value === undefined)) fault([], message);
  };
  return withCheck(schema, check, { rule: hasAnyOf(Object.keys(schema.shape)), message });
}
