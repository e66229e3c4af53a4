/** TransportRule: conditions, exceptions and actions on every message, named as in Exchange's New-TransportRule. */
import { z } from "zod";
import { enabled, Quantity, transportRefs } from "./common.ts";

const words = (what: string) =>
  z.array(z.string().min(1).max(256)).min(1).max(1000).optional().describe(what);
const patterns = (what: string) =>
  z
    .array(z.string().min(1).max(1024))
    .min(1)
    .max(200)
    .optional()
    .describe(
      `${what} Regular expressions without look-around or back-references, case-insensitive, linear time.`,
    );
const addresses = (what: string) =>
  z.array(z.string().min(1).max(320)).min(1).max(1000).optional().describe(what);

const HeaderWords = z.strictObject({
  header: z.string().min(1),
  words: z.array(z.string().min(1)).min(1).max(1000),
});
const HeaderPatterns = z.strictObject({
  header: z.string().min(1),
  patterns: z.array(z.string().min(1).max(1024)).min(1).max(200),
});

/** Every predicate; all that are present must hold; within one, any value may match. */
export const Predicates = z.strictObject({
  from: addresses("Sender is one of these addresses."),
  fromScope: z
    .enum(["InOrganization", "NotInOrganization"])
    .optional()
    .describe("InOrganization: internal mail (authenticated or externally secured) from an accepted domain."),
  fromAddressContainsWords: words("Words in the sender's address."),
  fromAddressMatchesPatterns: patterns("Sender's address."),
  senderDomainIs: words("Domain of the sender, subdomains included."),
  senderIpRanges: words("Client address: address, CIDR or first-last."),
  authenticated: z.boolean().optional().describe("True: the client authenticated. False: it did not."),
  receiveConnectorIs: words("namespace/name or name of the receive connector."),
  sentTo: addresses("Recipient is one of these addresses. Holds per recipient."),
  sentToScope: z
    .enum(["InOrganization", "NotInOrganization"])
    .optional()
    .describe("Recipient's domain is Authoritative or InternalRelay, or not. Holds per recipient."),
  recipientDomainIs: words("Domain of the recipient, subdomains included. Holds per recipient."),
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
  headerExists: words("Any of these header fields is present."),
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
    .strictObject({ name: z.string().min(1), values: z.array(z.string()).min(1) })
    .optional()
    .describe("An agent's stamp has one of these values."),
});
export type Predicates = z.infer<typeof Predicates>;

export const Conditions = Predicates.extend({
  anyOf: z
    .array(Predicates)
    .min(1)
    .max(32)
    .optional()
    .describe("Alternatives: at least one of them must hold too."),
});

export const Actions = z
  .strictObject({
    rejectMessage: z
      .strictObject({
        enhancedStatusCode: z
          .string()
          .regex(/^5\.7\.(1|9[0-9]{2})$/, "use 5.7.1 or 5.7.900 to 5.7.999")
          .default("5.7.1"),
        reasonText: z.string().min(1).max(1024).default("Delivery not authorized, message refused"),
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
      .array(z.strictObject({ name: z.string().regex(/^[!-9;-~]+$/), value: z.string().max(2000) }))
      .min(1)
      .max(32)
      .optional()
      .describe("Sets header fields, replacing those of that name."),
    removeHeader: words("Removes header fields."),
    prependSubject: z.string().min(1).max(256).optional().describe("Put before the subject, once."),
    applyHtmlDisclaimer: z
      .strictObject({
        text: z
          .string()
          .min(1)
          .max(5000)
          .optional()
          .describe("Text for text/plain parts; default: the HTML without its tags."),
        html: z.string().min(1).max(5000).describe("HTML for text/html parts."),
        location: z.enum(["Append", "Prepend"]).default("Append"),
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
      .optional()
      .describe("SendConnector, name or namespace/name, whatever its address spaces."),
    routeMessageOutboundRequireTls: z.boolean().optional().describe("Only over TLS."),
    setPriority: z.enum(["High", "Normal", "Low"]).optional().describe("Order in the delivery queue."),
    setScl: z.number().int().min(-1).max(9).optional().describe("Spam confidence level; -1 is trusted."),
    logEventText: z.string().min(1).max(500).optional().describe("Text for the log and the trace."),
  })
  .refine((actions) => Object.values(actions).some((value) => value !== undefined && value !== false), {
    error: "name at least one action",
  });
export type Actions = z.infer<typeof Actions>;

export const TransportRuleSpec = z.strictObject({
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
  activationDate: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("RFC 3339 time from which the rule runs."),
  expiryDate: z.iso
    .datetime({ offset: true })
    .optional()
    .describe("RFC 3339 time from which it no longer runs."),
  senderAddressLocation: z
    .enum(["Header", "Envelope", "HeaderOrEnvelope"])
    .default("Header")
    .describe("Where sender predicates look."),
  conditions: Conditions.optional().describe("All must hold. Left out: every message."),
  exceptions: Conditions.optional().describe("Any of these predicates that holds releases the message."),
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
export type TransportRuleSpec = z.infer<typeof TransportRuleSpec>;
