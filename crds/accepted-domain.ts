/** AcceptedDomain: SMTP domains this organization receives mail for. */
import { z } from "zod";
import { addressKey, parseAddress } from "../mail/address.ts";
import { type ReportFault, reportDuplicates, withCheck } from "./checks.ts";
import { enabled, transportRefs } from "./common.ts";
import { AddressText, DomainPattern, normalizeDomainPattern } from "./formats.ts";
import { withRules } from "./validation.ts";

const TO_ITSELF = "leads to the alias itself";

const Spec = z.strictObject({
  transportRefs,
  enabled,
  domains: z
    .array(DomainPattern)
    .min(1)
    .max(1000)
    .meta({ "x-kubernetes-list-type": "set" })
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
      addresses: z.array(AddressText).max(100000).default([]).describe("Recipients that exist."),
      aliases: z
        .array(
          withRules(
            z.strictObject({
              alias: AddressText.describe("Further address."),
              address: AddressText.describe("Where it leads."),
            }),
            { rule: "self.alias != self.address", message: TO_ITSELF, fieldPath: ".address" },
          ),
        )
        .max(50000)
        .default([])
        .describe("Other addresses of a recipient."),
      groups: z
        .array(
          z.strictObject({
            address: AddressText.describe("Address of the group."),
            members: z.array(AddressText).max(10000).describe("Members; may be groups, and outside."),
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
            address: AddressText.describe("Recipient whose mail is forwarded."),
            forwardTo: z.array(AddressText).min(1).max(100).describe("Where to."),
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

type SpecOutput = z.output<typeof Spec>;

function checkAcceptedDomain({ domains, type, recipients }: SpecOutput, fault: ReportFault): void {
  if (recipients.validation === "Reject" && type !== "Authoritative") {
    fault(["recipients", "validation"], `Reject is not for type ${type}, whose recipients are elsewhere`);
  }
  reportDuplicates(domains.map(normalizeDomainPattern), (index, first) =>
    fault(["domains", index], `is the same as domains[${first}]`),
  );
  const lists = [
    ["aliases", "alias", recipients.aliases.map(({ alias }) => alias)],
    ["groups", "address", recipients.groups.map(({ address }) => address)],
    ["forwards", "address", recipients.forwards.map(({ address }) => address)],
  ] as const;
  for (const [list, field, addresses] of lists) {
    reportDuplicates(addresses.map(keyOf), (index, first) =>
      fault(["recipients", list, index, field], `stands already in ${list}[${first}]`),
    );
  }
  for (const [index, { alias, address }] of recipients.aliases.entries()) {
    if (keyOf(alias) !== undefined && keyOf(alias) === keyOf(address)) {
      fault(["recipients", "aliases", index, "address"], TO_ITSELF);
    }
  }
}

function keyOf(text: string): string | undefined {
  const address = parseAddress(text);
  return address && addressKey(address);
}

export const AcceptedDomainSpec = withCheck(Spec, checkAcceptedDomain, {
  rule: "self.recipients.validation != 'Reject' || self.type == 'Authoritative'",
  messageExpression: "'Reject is not for type ' + self.type + ', whose recipients are elsewhere'",
  fieldPath: ".recipients.validation",
});
export type AcceptedDomainSpec = z.infer<typeof AcceptedDomainSpec>;
