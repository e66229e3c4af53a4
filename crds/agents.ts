/** Settings of the built-in agents. A new agent adds its schema here, its file in transport/agents, and runs `npm run gen`. */
import { z } from "zod";
import { type ReportFault, withCheck } from "./checks.ts";
import { Duration, PositiveDuration, Time } from "./common.ts";
import { AddressText, DomainText, HeaderName, IpRangeText, IpText, OneLine } from "./formats.ts";
import { type CelRule, withRules } from "./validation.ts";

const IpEntry = z.strictObject({
  range: IpRangeText.describe("Address, CIDR or first-last range."),
  expires: Time.optional().describe("RFC 3339 time after which the entry no longer counts."),
});

const IpBlockListProvider = z.strictObject({
  lookupDomain: DomainText.describe("DNS block list, e.g. zen.spamhaus.org."),
  anyMatch: z.boolean().default(true).describe("Any 127.x answer counts."),
  ipAddressesMatch: z
    .array(IpText)
    .max(64)
    .default([])
    .describe("Answers that count, when anyMatch is false."),
  bitmaskMatch: IpText.optional().describe(
    "Mask such as 127.0.0.6 whose bits count, when anyMatch is false.",
  ),
  rejectionResponse: OneLine.max(240).optional().describe("Text of the refusal."),
});

const ANY_AND_CHOSEN = "true counts every answer: set it to false to use ipAddressesMatch or bitmaskMatch";
const NONE_CHOSEN = "false needs ipAddressesMatch or bitmaskMatch";

function checkProvider(provider: z.output<typeof IpBlockListProvider>, fault: ReportFault): void {
  const { anyMatch, ipAddressesMatch, bitmaskMatch } = provider;
  const chosen = ipAddressesMatch.length > 0 || bitmaskMatch !== undefined;
  if (anyMatch && chosen) {
    fault(["anyMatch"], ANY_AND_CHOSEN);
  }
  if (!anyMatch && !chosen) fault(["anyMatch"], NONE_CHOSEN);
}

const CHOSEN = "(self.ipAddressesMatch.size() > 0 || has(self.bitmaskMatch))";
const PROVIDER_RULES: readonly CelRule[] = [
  { rule: `!self.anyMatch || !${CHOSEN}`, message: ANY_AND_CHOSEN, fieldPath: ".anyMatch" },
  { rule: `self.anyMatch || ${CHOSEN}`, message: NONE_CHOSEN, fieldPath: ".anyMatch" },
];

export const ConnectionFilterSettings = z.strictObject({
  ipAllowList: z.array(IpEntry).max(1000).default([]).describe("Clients that skip all anti-spam agents."),
  ipBlockList: z
    .array(IpEntry)
    .max(1000)
    .default([])
    .describe("Clients that are refused 550 5.7.1 at RCPT TO."),
  ipBlockListProviders: z
    .array(withCheck(IpBlockListProvider, checkProvider, ...PROVIDER_RULES))
    .max(16)
    .default([])
    .describe(
      "DNS block lists, asked together; the first in order that lists the client refuses it. A list that cannot be asked counts as no match and is logged.",
    ),
  bypassedRecipients: z
    .array(AddressText)
    .max(800)
    .default([])
    .describe("Recipients that accept blocked clients."),
  lookupTimeout: PositiveDuration.default("3s").describe("Wait for one DNS block list."),
});

export const SenderFilterSettings = z.strictObject({
  blockedSenders: z.array(AddressText).max(800).default([]).describe("Addresses refused as sender."),
  blockedDomains: z.array(DomainText).max(800).default([]).describe("Domains refused as sender."),
  blockedDomainsAndSubdomains: z
    .array(DomainText)
    .max(800)
    .default([])
    .describe("Domains refused with all their subdomains."),
  blankSenderBlockingEnabled: z
    .boolean()
    .default(false)
    .describe("Refuse the null sender; it carries DSNs, so think twice."),
  action: z
    .enum(["Reject", "StampStatus"])
    .default("Reject")
    .describe("Refuse 554 5.1.0, or only stamp the message."),
});

export const RecipientFilterSettings = z.strictObject({
  blockedRecipients: z
    .array(AddressText)
    .max(800)
    .default([])
    .describe("Addresses that accept no mail from outside."),
  recipientValidationEnabled: z
    .boolean()
    .default(true)
    .describe("Refuse 550 5.1.1 what AcceptedDomain recipients with validation Reject do not list."),
  harvestThreshold: z
    .number()
    .int()
    .min(1)
    .default(3)
    .describe("Unknown recipients in a session before each further RCPT is delayed."),
  tarpitInterval: Duration.default("5s").describe("Delay of each further RCPT after the threshold."),
});

export const HeaderFirewallSettings = z.strictObject({
  prefixes: z
    .array(HeaderName)
    .max(64)
    .default(["X-Postroom-", "X-MS-Exchange-Organization-", "X-MS-Exchange-Forest-"])
    .describe("Header fields that strangers may not send; removed from mail that is not internal."),
});

export const AttachmentFilterSettings = z.strictObject({
  entries: z
    .array(
      z.strictObject({
        type: z
          .enum(["FileName", "ContentType"])
          .default("FileName")
          .describe("What the pattern is held against."),
        pattern: z
          .string()
          .min(1)
          .max(256)
          .describe("Name such as invoice.exe or *.exe; or a MIME type such as application/x-msdownload."),
      }),
    )
    .max(500)
    .default([])
    .describe("Attachments to act on; content types are sniffed as well as read."),
  action: z
    .enum(["Reject", "Strip", "SilentDelete", "Quarantine"])
    .default("Reject")
    .describe(
      "Reject 550 5.7.1; Strip replaces the attachment by a text; SilentDelete drops the message; Quarantine keeps it.",
    ),
  rejectResponse: OneLine.max(240)
    .default("Message rejected due to unacceptable attachments")
    .describe("Text of the refusal."),
});

const Agents = z.strictObject({
  connectionFilter: ConnectionFilterSettings.optional().describe(
    "IP allow and block lists, DNS block lists.",
  ),
  senderFilter: SenderFilterSettings.optional().describe("Blocked senders."),
  recipientFilter: RecipientFilterSettings.optional().describe("Blocked and unknown recipients."),
  headerFirewall: HeaderFirewallSettings.optional().describe("Strips organization headers from strangers."),
  attachmentFilter: AttachmentFilterSettings.optional().describe("Blocks attachments by name and type."),
});

/** Property names of the built-in agents. */
export const AGENT_NAMES = Agents.keyof().options;

const ONE_AGENT = "name exactly one agent per entry";

/** Exactly one property: the agent, with its settings. */
export const AgentEntry = withRules(
  Agents.refine((entry) => Object.values(entry).filter((value) => value !== undefined).length === 1, {
    error: ONE_AGENT,
  }),
  {
    rule: `[${AGENT_NAMES.map((name) => `has(self.${name})`).join(", ")}].filter(there, there).size() == 1`,
    message: ONE_AGENT,
  },
);
export type AgentEntry = z.infer<typeof AgentEntry>;
