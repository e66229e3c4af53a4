/** Builders for tests of rules: a message, its MIME summary, rule entries, the domains of Contoso. */
import { AcceptedDomainSpec } from "../../crds/accepted-domain.ts";
import { TransportRuleSpec } from "../../crds/transport-rule.ts";
import { parseAddress } from "../../mail/address.ts";
import { parseHeader } from "../../mail/header.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import type { MimePart, MimeSummary } from "../../mail/mime.ts";
import { createDomainTable } from "../../snapshot/domain-table.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import type { PolicyInput } from "../../transport/policy/mod.ts";

const contoso = AcceptedDomainSpec.parse({ domains: ["contoso.example"] });
export const domains = createDomainTable([{ ...contoso, name: "default/contoso" }]);

export function recipient(text: string, more: Partial<Recipient> = {}): Recipient {
  const address = parseAddress(text)!;
  return { address, original: address, ...more };
}

export interface MailOptions {
  readonly sender?: string | null;
  readonly to?: readonly (string | Recipient)[];
  readonly header?: string;
  readonly size?: number;
  readonly origin?: Partial<Message["origin"]>;
  readonly stamps?: Message["stamps"];
  readonly mime?: Partial<MimeSummary> | null;
  readonly now?: number;
}

/** Mail from the outside to ann@contoso.example, unless told otherwise. */
export function mail(options: MailOptions = {}): PolicyInput {
  const { sender = "zoe@fabrikam.example", to = ["ann@contoso.example"], size = 10 } = options;
  const recipients = to.map((one) => (typeof one === "string" ? recipient(one) : one));
  const header = options.header ?? `From: Zoe <${sender ?? "postmaster@fabrikam.example"}>\nSubject: Hello\n`;
  const message: Message = {
    id: "1",
    networkMessageId: "1",
    envelope: {
      sender: sender === null ? null : parseAddress(sender)!,
      recipients,
      bodyType: "8BITMIME",
      smtpUtf8: false,
      requireTls: false,
    },
    origin: {
      receivedAt: 0,
      clientAddress: "192.0.2.7",
      helo: "mail.fabrikam.example",
      connector: "default/internet",
      internal: false,
      ...options.origin,
    },
    header: parseHeader(Buffer.from(header.replaceAll("\n", "\r\n"), "utf8").toString("latin1")),
    body: { kind: "inline", bytes: new Uint8Array(size), size },
    priority: "Normal",
    stamps: options.stamps ?? {},
  };
  const mime =
    options.mime === null
      ? undefined
      : { parts: [], text: "", textLength: 0, tooComplex: false, contentType: "text/plain", ...options.mime };
  return { message, recipients, mime, now: options.now ?? 0 };
}

export function part(more: Partial<MimePart>): MimePart {
  return {
    contentType: "application/octet-stream",
    sniffedType: undefined,
    fileName: undefined,
    attachment: true,
    size: 100,
    charset: undefined,
    path: "1",
    ...more,
  };
}

type RuleInput = Record<string, unknown> & { name?: string };

/** A rule as a manifest's spec, with `name`; actions default to a priority. */
export function rule({ name = "r", activationDate, expiryDate, ...spec }: RuleInput): RuleEntry {
  const parsed = TransportRuleSpec.parse({
    actions: { setPriority: "High" },
    activationDate,
    expiryDate,
    ...spec,
  });
  const { transportRefs: _, enabled: __, ...rest } = parsed;
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return {
    ...rest,
    name,
    conditions: parsed.conditions,
    exceptions: parsed.exceptions,
    createdAt: undefined,
    activationDate: time(parsed.activationDate),
    expiryDate: time(parsed.expiryDate),
  };
}
