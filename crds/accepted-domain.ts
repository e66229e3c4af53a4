/** AcceptedDomain: SMTP domains this organization receives mail for. */
import { z } from "zod";
import { enabled, transportRefs } from "./common.ts";

export const AcceptedDomainSpec = z.strictObject({
  transportRefs,
  enabled,
  domains: z
    .array(z.string().min(1).max(255))
    .min(1)
    .max(1000)
    .describe("Domains: contoso.example, or *.contoso.example for all its subdomains."),
  type: z
    .enum(["Authoritative", "InternalRelay", "ExternalRelay"])
    .default("Authoritative")
    .describe(
      "Authoritative: all recipients are here. InternalRelay: some are elsewhere inside, mail is relayed and counts as internal. ExternalRelay: relayed to a customer or partner, counts as outside.",
    ),
  recipients: z
    .strictObject({
      validation: z
        .enum(["None", "Reject"])
        .default("None")
        .describe(
          "Reject: recipients not listed here are refused 550 5.1.1 at RCPT TO. Not for relay types.",
        ),
      addresses: z.array(z.string()).max(100000).default([]).describe("Recipients that exist."),
      aliases: z
        .array(
          z.strictObject({
            alias: z.string().describe("Further address."),
            address: z.string().describe("Where it leads."),
          }),
        )
        .max(100000)
        .default([])
        .describe("Other addresses of a recipient."),
      groups: z
        .array(
          z.strictObject({
            address: z.string().describe("Address of the group."),
            members: z.array(z.string()).max(10000).describe("Members; may be groups, and outside."),
            requireSenderAuthentication: z
              .boolean()
              .default(false)
              .describe("True: only internal senders; others 550 5.7.133."),
          }),
        )
        .max(10000)
        .default([])
        .describe("Distribution groups."),
      forwards: z
        .array(
          z.strictObject({
            address: z.string().describe("Recipient whose mail is forwarded."),
            forwardTo: z.array(z.string()).min(1).max(100).describe("Where to."),
            deliverToMailboxAndForward: z
              .boolean()
              .default(false)
              .describe("True: keep a copy in the mailbox."),
          }),
        )
        .max(10000)
        .default([])
        .describe("Forwarded recipients."),
    })
    .prefault({})
    .describe("Recipients known for these domains. Sub-addresses (ann+list) match the plain one."),
});
export type AcceptedDomainSpec = z.infer<typeof AcceptedDomainSpec>;
