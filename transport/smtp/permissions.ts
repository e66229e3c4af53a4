/**
 * Permissions: which senders a session may use, and which recipients it may reach. Texts are Exchange's.
 *
 * In: facts of the session, its connector, the accepted domains. Out: undefined (allowed) or the refusal. Pure.
 *
 * @module
 */
import { type Address, addressKey, parseAddress } from "../../mail/address.ts";
import { toALabel } from "../../mail/domain.ts";
import { parseIp } from "../../mail/ip-range.ts";
import { reply } from "../../mail/reply.ts";
import type { Answer, SmtpSession } from "../../mail/session.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";

/** What a session is judged by: its connector and the accepted domains. */
export interface Terms {
  readonly connector: ReceiveConnectorEntry;
  readonly domains: Pick<DomainTable, "find" | "lookup">;
}

const sendAsDenied = {
  reply: reply(550, "5.7.60", "SMTP; Client does not have permissions to send as this sender"),
};
const relayDenied = { reply: reply(550, "5.7.1", "Unable to relay") };
// RFC 5321 section 4.1.1.3: only <postmaster> may come without a domain.
const noDomain = { reply: reply(501, "5.1.3", "Invalid address") };

/** Send-as check at MAIL. */
export function checkSender(session: SmtpSession, sender: Address | null, terms: Terms): Answer {
  const { connector, domains } = terms;
  if (mayUseAnySender(connector)) return undefined;
  if (session.user !== undefined) {
    return maySendAs(session.user, sender, connector) ? undefined : sendAsDenied;
  }
  if (sender === null || connector.acceptAuthoritativeDomainSender) return undefined;
  return domains.find(sender.domain) === undefined ? undefined : sendAsDenied;
}

/** Relay check at RCPT. */
export function checkRecipient(session: SmtpSession, recipient: Address, terms: Terms): Answer {
  const { localPart, domain } = recipient;
  if (domain === "") return localPart.toLowerCase() === "postmaster" ? undefined : noDomain;
  // Nobody but postmaster lives at our own address, and mail relayed there would come back to us.
  if (isLiteralOf(domain, session.localAddress)) return relayDenied;
  if (session.mayRelay || terms.domains.find(domain) !== undefined) return undefined;
  // RFC 5321 section 4.5.1: of our own name nothing is known but its postmaster.
  return terms.domains.lookup(recipient) === undefined ? relayDenied : undefined;
}

/** RFC 5321 sections 4.1.3 and 4.5.1: at the address literal we were reached at there is a postmaster, and nobody else. */
export function namedByLiteral(session: SmtpSession, address: Address): Address {
  const { localPart, domain } = address;
  if (localPart.toLowerCase() !== "postmaster" || !isLiteralOf(domain, session.localAddress)) return address;
  return { ...address, domain: "" };
}

function mayUseAnySender({ authMechanisms, permissionGroups }: ReceiveConnectorEntry): boolean {
  return authMechanisms.includes("ExternalAuthoritative") || permissionGroups.includes("Relay");
}

/** The null reverse-path belongs to mail systems: only a user who may send as anybody may use it. */
function maySendAs(user: string, sender: Address | null, connector: ReceiveConnectorEntry): boolean {
  const grants = grantsOf(connector);
  const granted = [grants.get(user.toLowerCase()), grants.get("*")].filter((grant) => grant !== undefined);
  if (granted.some(({ anyone }) => anyone)) return true;
  if (sender === null) return false;
  const key = addressKey(sender);
  const own = parseAddress(user);
  if (own !== undefined && addressKey(own) === key) return true;
  return granted.some(({ addresses, domains }) => addresses.has(key) || domains.has(sender.domain));
}

interface Grant {
  anyone: boolean;
  readonly addresses: Set<string>;
  readonly domains: Set<string>;
}

/** sendAs by user name in lower case; entries of a snapshot never change, so each is read once. */
const grantsByEntry = new WeakMap<ReceiveConnectorEntry, ReadonlyMap<string, Grant>>();

function grantsOf(connector: ReceiveConnectorEntry): ReadonlyMap<string, Grant> {
  const known = grantsByEntry.get(connector);
  if (known !== undefined) return known;
  const grants = new Map<string, Grant>();
  for (const { user, addresses } of connector.sendAs) {
    const name = user.toLowerCase();
    const grant = grants.get(name) ?? { anyone: false, addresses: new Set(), domains: new Set() };
    for (const address of addresses) addTo(grant, address.trim());
    grants.set(name, grant);
  }
  grantsByEntry.set(connector, grants);
  return grants;
}

function addTo(grant: Grant, text: string): void {
  if (text === "*") {
    grant.anyone = true;
    return;
  }
  if (text.startsWith("*@")) {
    const domain = toALabel(text.slice(2));
    if (domain !== undefined) grant.domains.add(domain);
    return;
  }
  const address = parseAddress(text);
  if (address !== undefined) grant.addresses.add(addressKey(address));
}

/** RFC 5321 section 4.1.3: [192.0.2.1] or [IPv6:2001:db8::1], and it is where the client reached us. */
function isLiteralOf(domain: string, localAddress: string): boolean {
  if (!domain.startsWith("[")) return false;
  const text = /^\[(?:IPv6:)?([0-9a-f.:]+)\]$/i.exec(domain)?.[1];
  const [literal, own] = [parseIp(text ?? ""), parseIp(localAddress)];
  return literal !== undefined && literal.family === own?.family && literal.value === own.value;
}
