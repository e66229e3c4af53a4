import { describe, expect, test } from "vitest";
import { Predicates } from "../../crds/transport-rule.ts";
import { domains, type MailOptions, mail, part, rule } from "../../test/helpers/rules.ts";
import { compileRules } from "./mod.ts";

interface Row {
  readonly name: string;
  readonly conditions: Record<string, unknown>;
  readonly location?: string;
  /** The schema would refuse it. */
  readonly unchecked?: boolean;
  readonly mail?: MailOptions;
  /** Evidence of a "yes", or the result. */
  readonly want: "no" | "unknown" | { readonly yes: string };
}

const inside = { sender: "ann@contoso.example", origin: { internal: true, user: "ann" } };
const header = (text: string): MailOptions => ({ header: `From: zoe@fabrikam.example\n${text}\n` });
const attached = (...parts: Parameters<typeof part>[0][]): MailOptions => ({
  mime: { parts: parts.map(part) },
});

const ROWS: readonly Row[] = [
  // from, senderDomainIs, fromAddress*: senderAddressLocation
  {
    name: "from: an address of the From field",
    conditions: { from: ["ZOE@fabrikam.example"] },
    want: { yes: "zoe@fabrikam.example" },
  },
  { name: "from: another address", conditions: { from: ["bob@fabrikam.example"] }, want: "no" },
  {
    name: "from: Header does not look at the envelope",
    conditions: { from: ["env@a.example"] },
    mail: { ...header(""), sender: "env@a.example" },
    want: "no",
  },
  {
    name: "from: Envelope does not look at the header",
    conditions: { from: ["zoe@fabrikam.example"] },
    location: "Envelope",
    mail: { ...header(""), sender: "env@a.example" },
    want: "no",
  },
  {
    name: "from: HeaderOrEnvelope finds the envelope",
    conditions: { from: ["env@a.example"] },
    location: "HeaderOrEnvelope",
    mail: { ...header(""), sender: "env@a.example" },
    want: { yes: "env@a.example" },
  },
  {
    name: "from: HeaderOrEnvelope finds the header",
    conditions: { from: ["zoe@fabrikam.example"] },
    location: "HeaderOrEnvelope",
    mail: { ...header(""), sender: "env@a.example" },
    want: { yes: "zoe@fabrikam.example" },
  },
  {
    name: "from: the null sender is nobody",
    conditions: { from: ["zoe@fabrikam.example"] },
    location: "Envelope",
    mail: { sender: null },
    want: "no",
  },
  {
    name: "from: the second of two From addresses counts",
    conditions: { from: ["b@b.example"] },
    mail: { header: "From: a@a.example, B <b@b.example>\n" },
    want: { yes: "b@b.example" },
  },
  {
    name: "from: no From field at all",
    conditions: { from: ["b@b.example"] },
    mail: { header: "Subject: x\n" },
    want: "no",
  },
  {
    name: "from: what is no address matches nothing",
    unchecked: true,
    conditions: { from: ["not an address"] },
    want: "no",
  },
  {
    name: "senderDomainIs: the domain itself",
    conditions: { senderDomainIs: ["Fabrikam.example"] },
    want: { yes: "fabrikam.example" },
  },
  {
    name: "senderDomainIs: a subdomain",
    conditions: { senderDomainIs: ["fabrikam.example"] },
    mail: { sender: "a@x.y.fabrikam.example" },
    want: { yes: "fabrikam.example" },
  },
  {
    name: "senderDomainIs: a suffix is not a subdomain",
    conditions: { senderDomainIs: ["fabrikam.example"] },
    mail: { sender: "a@notfabrikam.example" },
    want: "no",
  },
  {
    name: "senderDomainIs: an IDN in Unicode",
    conditions: { senderDomainIs: ["bücher.example"] },
    mail: { sender: "a@xn--bcher-kva.example" },
    want: { yes: "xn--bcher-kva.example" },
  },
  {
    name: "fromAddressContainsWords: a word of the domain",
    conditions: { fromAddressContainsWords: ["FABRIKAM"] },
    want: { yes: "fabrikam" },
  },
  {
    name: "fromAddressContainsWords: a part of a word",
    conditions: { fromAddressContainsWords: ["fabri"] },
    want: "no",
  },
  {
    name: "fromAddressMatchesPatterns: a match",
    conditions: { fromAddressMatchesPatterns: ["^z.*@fabrikam\\.example$"] },
    want: { yes: "zoe@fabrikam.example" },
  },
  {
    name: "fromAddressMatchesPatterns: no match",
    conditions: { fromAddressMatchesPatterns: ["^y"] },
    want: "no",
  },
  // fromScope
  {
    name: "fromScope: a stranger is outside",
    conditions: { fromScope: "NotInOrganization" },
    want: { yes: "NotInOrganization" },
  },
  {
    name: "fromScope: a stranger who says to be inside is outside",
    conditions: { fromScope: "InOrganization" },
    mail: { sender: "ann@contoso.example" },
    want: "no",
  },
  {
    name: "fromScope: internal mail from an accepted domain is inside",
    conditions: { fromScope: "InOrganization" },
    mail: inside,
    want: { yes: "InOrganization" },
  },
  {
    name: "fromScope: internal mail from a foreign domain is outside",
    conditions: { fromScope: "InOrganization" },
    mail: { ...inside, sender: "a@b.example" },
    want: "no",
  },
  {
    name: "fromScope: our own DSN is inside",
    conditions: { fromScope: "InOrganization" },
    mail: { sender: null, origin: { connector: "", internal: true } },
    want: { yes: "InOrganization" },
  },
  {
    name: "fromScope: a stranger's DSN is outside",
    conditions: { fromScope: "InOrganization" },
    mail: { sender: null, header: "From: x@contoso.example\n" },
    want: "no",
  },
  {
    name: "fromScope: an internal server's DSN is inside by its From field",
    conditions: { fromScope: "InOrganization" },
    mail: { sender: null, header: "From: x@contoso.example\n", origin: { internal: true } },
    want: { yes: "InOrganization" },
  },
  {
    name: "fromScope: an internal null sender without From is outside",
    conditions: { fromScope: "InOrganization" },
    mail: { sender: null, header: "Subject: x\n", origin: { internal: true } },
    want: "no",
  },
  // senderIpRanges
  {
    name: "senderIpRanges: an address",
    conditions: { senderIpRanges: ["192.0.2.7"] },
    want: { yes: "192.0.2.7 in 192.0.2.7" },
  },
  {
    name: "senderIpRanges: a CIDR",
    conditions: { senderIpRanges: ["10.0.0.0/8", "192.0.2.0/24"] },
    want: { yes: "192.0.2.7 in 192.0.2.0/24" },
  },
  {
    name: "senderIpRanges: first-last",
    conditions: { senderIpRanges: ["192.0.2.1-192.0.2.9"] },
    want: { yes: "192.0.2.7 in 192.0.2.1-192.0.2.9" },
  },
  {
    name: "senderIpRanges: the whole Internet",
    conditions: { senderIpRanges: ["0.0.0.0/0"] },
    want: { yes: "192.0.2.7 in 0.0.0.0/0" },
  },
  {
    name: "senderIpRanges: a range over two /8",
    conditions: { senderIpRanges: ["191.0.0.0-193.0.0.0"] },
    want: { yes: "192.0.2.7 in 191.0.0.0-193.0.0.0" },
  },
  { name: "senderIpRanges: outside the range", conditions: { senderIpRanges: ["192.0.2.8/29"] }, want: "no" },
  {
    name: "senderIpRanges: IPv6",
    conditions: { senderIpRanges: ["2001:db8::/32"] },
    mail: { origin: { clientAddress: "2001:db8::1" } },
    want: { yes: "2001:db8::1 in 2001:db8::/32" },
  },
  { name: "senderIpRanges: the other family", conditions: { senderIpRanges: ["::/0"] }, want: "no" },
  {
    name: "senderIpRanges: mail made here has no client",
    conditions: { senderIpRanges: ["0.0.0.0/0"] },
    mail: { origin: { clientAddress: "" } },
    want: "no",
  },
  {
    name: "senderIpRanges: what cannot be read is unknown",
    unchecked: true,
    conditions: { senderIpRanges: ["nonsense"] },
    want: "unknown",
  },
  {
    name: "authenticated: true, and it did",
    conditions: { authenticated: true },
    mail: inside,
    want: { yes: "true" },
  },
  { name: "authenticated: true, and it did not", conditions: { authenticated: true }, want: "no" },
  {
    name: "authenticated: false, and it did not",
    conditions: { authenticated: false },
    want: { yes: "false" },
  },
  {
    name: "receiveConnectorIs: by name",
    conditions: { receiveConnectorIs: ["internet"] },
    want: { yes: "internet" },
  },
  {
    name: "receiveConnectorIs: by namespace and name",
    conditions: { receiveConnectorIs: ["default/internet"] },
    want: { yes: "default/internet" },
  },
  { name: "receiveConnectorIs: another", conditions: { receiveConnectorIs: ["inter"] }, want: "no" },
  {
    name: "receiveConnectorIs: mail made here came by none",
    conditions: { receiveConnectorIs: ["internet"] },
    mail: { origin: { connector: "" } },
    want: "no",
  },
  // recipients
  {
    name: "sentTo: the recipient",
    conditions: { sentTo: ["Ann@contoso.example"] },
    want: { yes: "ann@contoso.example" },
  },
  {
    name: "sentTo: not by the To field",
    conditions: { sentTo: ["x@y.example"] },
    mail: header("To: x@y.example"),
    want: "no",
  },
  {
    name: "sentToScope: inside",
    conditions: { sentToScope: "InOrganization" },
    want: { yes: "InOrganization" },
  },
  { name: "sentToScope: outside", conditions: { sentToScope: "NotInOrganization" }, want: "no" },
  {
    name: "recipientDomainIs: a subdomain",
    conditions: { recipientDomainIs: ["example"] },
    want: { yes: "example" },
  },
  { name: "recipientDomainIs: another", conditions: { recipientDomainIs: ["toso.example"] }, want: "no" },
  {
    name: "recipientAddressContainsWords: a word",
    conditions: { recipientAddressContainsWords: ["ann"] },
    want: { yes: "ann" },
  },
  {
    name: "recipientAddressContainsWords: a part",
    conditions: { recipientAddressContainsWords: ["an"] },
    want: "no",
  },
  {
    name: "recipientAddressMatchesPatterns: a match",
    conditions: { recipientAddressMatchesPatterns: ["^a.+@"] },
    want: { yes: "ann@" },
  },
  {
    name: "recipientAddressMatchesPatterns: no match",
    conditions: { recipientAddressMatchesPatterns: ["^b.+@"] },
    want: "no",
  },
  {
    name: "anyOfRecipientAddressContainsWords: a word of the second",
    conditions: { anyOfRecipientAddressContainsWords: ["bob"] },
    mail: { to: ["ann@contoso.example", "bob@b.example"] },
    want: { yes: "bob" },
  },
  {
    name: "anyOfRecipientAddressContainsWords: none",
    conditions: { anyOfRecipientAddressContainsWords: ["bo"] },
    mail: { to: ["ann@contoso.example", "bob@b.example"] },
    want: "no",
  },
  {
    name: "anyOfRecipientAddressMatchesPatterns: the second",
    conditions: { anyOfRecipientAddressMatchesPatterns: ["^bob@"] },
    mail: { to: ["ann@contoso.example", "bob@b.example"] },
    want: { yes: "bob@" },
  },
  {
    name: "anyOfRecipientAddressMatchesPatterns: none",
    conditions: { anyOfRecipientAddressMatchesPatterns: ["^cyn@"] },
    want: "no",
  },
  {
    name: "anyOfToHeader: in To",
    conditions: { anyOfToHeader: ["l@lists.example"] },
    mail: header("To: List <l@lists.example>"),
    want: { yes: "l@lists.example" },
  },
  {
    name: "anyOfToHeader: in Cc",
    conditions: { anyOfToHeader: ["l@lists.example"] },
    mail: header("Cc: l@lists.example"),
    want: "no",
  },
  {
    name: "anyOfCcHeader: in Cc",
    conditions: { anyOfCcHeader: ["l@lists.example"] },
    mail: header("Cc: a@a.example, l@lists.example"),
    want: { yes: "l@lists.example" },
  },
  {
    name: "anyOfCcHeader: in To",
    conditions: { anyOfCcHeader: ["l@lists.example"] },
    mail: header("To: l@lists.example"),
    want: "no",
  },
  {
    name: "anyOfToCcHeader: in Cc",
    conditions: { anyOfToCcHeader: ["l@lists.example"] },
    mail: header("Cc: l@lists.example"),
    want: { yes: "l@lists.example" },
  },
  {
    name: "anyOfToCcHeader: in To",
    conditions: { anyOfToCcHeader: ["l@lists.example"] },
    mail: header("To: l@lists.example"),
    want: { yes: "l@lists.example" },
  },
  {
    name: "anyOfToCcHeader: in neither",
    conditions: { anyOfToCcHeader: ["l@lists.example"] },
    mail: header("Reply-To: l@lists.example"),
    want: "no",
  },
  {
    name: "recipientCountOver: more",
    conditions: { recipientCountOver: 1 },
    mail: { to: ["a@a.example", "b@b.example"] },
    want: { yes: "2" },
  },
  { name: "recipientCountOver: as many", conditions: { recipientCountOver: 1 }, want: "no" },
  // text
  {
    name: "subjectContainsWords: a word",
    conditions: { subjectContainsWords: ["hello"] },
    want: { yes: "hello" },
  },
  { name: "subjectContainsWords: a part", conditions: { subjectContainsWords: ["hell"] }, want: "no" },
  {
    name: "subjectContainsWords: an encoded word",
    conditions: { subjectContainsWords: ["grüße"] },
    mail: header("Subject: =?utf-8?Q?Viele_Gr=C3=BC=C3=9Fe?="),
    want: { yes: "grüße" },
  },
  {
    name: "subjectContainsWords: raw UTF-8",
    conditions: { subjectContainsWords: ["grüße"] },
    mail: header("Subject: Viele Grüße"),
    want: { yes: "grüße" },
  },
  {
    name: "subjectContainsWords: a phrase over a folded line",
    conditions: { subjectContainsWords: ["wire transfer"] },
    mail: header("Subject: a wire\n transfer"),
    want: { yes: "wire transfer" },
  },
  {
    name: "subjectContainsWords: a star is no wildcard",
    conditions: { subjectContainsWords: ["hel*"] },
    want: "no",
  },
  {
    name: "subjectContainsWords: no subject",
    conditions: { subjectContainsWords: ["x"] },
    mail: { header: "From: a@a.example\n" },
    want: "no",
  },
  {
    name: "subjectMatchesPatterns: a match",
    conditions: { subjectMatchesPatterns: ["^h.l+o$"] },
    want: { yes: "Hello" },
  },
  {
    name: "subjectMatchesPatterns: no match",
    conditions: { subjectMatchesPatterns: ["^invoice", "\\d"] },
    want: "no",
  },
  {
    name: "subjectOrBodyContainsWords: in the body",
    conditions: { subjectOrBodyContainsWords: ["top secret"] },
    mail: { mime: { text: "it is top\r\nsecret." } },
    want: { yes: "top secret" },
  },
  {
    name: "subjectOrBodyContainsWords: in the subject",
    conditions: { subjectOrBodyContainsWords: ["hello"] },
    want: { yes: "hello" },
  },
  {
    name: "subjectOrBodyContainsWords: in neither",
    conditions: { subjectOrBodyContainsWords: ["secret"] },
    mail: { mime: { text: "secrets" } },
    want: "no",
  },
  {
    name: "subjectOrBodyContainsWords: in the subject of mail that was not examined",
    conditions: { subjectOrBodyContainsWords: ["hello"] },
    mail: { mime: null },
    want: { yes: "hello" },
  },
  {
    name: "subjectOrBodyContainsWords: perhaps in a body that was not examined",
    conditions: { subjectOrBodyContainsWords: ["secret"] },
    mail: { mime: null },
    want: "unknown",
  },
  {
    name: "subjectOrBodyContainsWords: perhaps in a body too complex",
    conditions: { subjectOrBodyContainsWords: ["secret"] },
    mail: { mime: { tooComplex: true } },
    want: "unknown",
  },
  {
    name: "subjectOrBodyMatchesPatterns: in the body; a long number is evidence by its shape only",
    conditions: { subjectOrBodyMatchesPatterns: ["\\d{4}-\\d{4}"] },
    mail: { mime: { text: "card 1234-5678" } },
    want: { yes: "####-####" },
  },
  {
    name: "subjectOrBodyMatchesPatterns: in neither",
    conditions: { subjectOrBodyMatchesPatterns: ["secret\\d"] },
    mail: { mime: { text: "secret" } },
    want: "no",
  },
  {
    name: "subjectOrBodyMatchesPatterns: perhaps in a body that was not examined",
    conditions: { subjectOrBodyMatchesPatterns: ["secret\\d"] },
    mail: { mime: null },
    want: "unknown",
  },
  {
    name: "headerContainsWords: in a second field of the name",
    conditions: { headerContainsWords: { header: "x-tag", words: ["red"] } },
    mail: header("X-Tag: blue\nX-TAG: Red"),
    want: { yes: "red" },
  },
  {
    name: "headerContainsWords: in another field",
    conditions: { headerContainsWords: { header: "X-Tag", words: ["red"] } },
    mail: header("X-Other: red"),
    want: "no",
  },
  {
    name: "headerMatchesPatterns: a match",
    conditions: { headerMatchesPatterns: { header: "X-Mailer", patterns: ["bulk\\s?mail"] } },
    mail: header("X-Mailer: Bulk Mail 3"),
    want: { yes: "Bulk Mail" },
  },
  {
    name: "headerMatchesPatterns: no such field",
    conditions: { headerMatchesPatterns: { header: "X-Mailer", patterns: [".*"] } },
    want: "no",
  },
  {
    name: "headerExists: whatever its value",
    conditions: { headerExists: ["list-id", "X-No"] },
    mail: header("List-Id:"),
    want: { yes: "list-id" },
  },
  { name: "headerExists: absent", conditions: { headerExists: ["X-No"] }, want: "no" },
  {
    name: "contentCharacterSetContainsWords: of a text part",
    conditions: { contentCharacterSetContainsWords: ["koi8-r"] },
    mail: attached({ contentType: "text/plain", attachment: false, charset: "KOI8-R" }),
    want: { yes: "koi8-r" },
  },
  {
    name: "contentCharacterSetContainsWords: of an attachment does not count",
    conditions: { contentCharacterSetContainsWords: ["koi8-r"] },
    mail: attached({ contentType: "text/plain", charset: "koi8-r" }),
    want: "no",
  },
  {
    name: "contentCharacterSetContainsWords: not examined",
    conditions: { contentCharacterSetContainsWords: ["koi8-r"] },
    mail: { mime: null },
    want: "unknown",
  },
  // attachments
  {
    name: "attachmentNameMatchesPatterns: a name",
    conditions: { attachmentNameMatchesPatterns: ["invoice.*\\.pdf$"] },
    mail: attached({ fileName: "x.txt" }, { fileName: "Invoice 7.PDF" }),
    want: { yes: "Invoice 7.PDF" },
  },
  {
    name: "attachmentNameMatchesPatterns: no name",
    conditions: { attachmentNameMatchesPatterns: [".*"] },
    mail: attached({}),
    want: "no",
  },
  {
    name: "attachmentNameMatchesPatterns: not examined",
    conditions: { attachmentNameMatchesPatterns: ["x"] },
    mail: { mime: null },
    want: "unknown",
  },
  {
    name: "attachmentExtensionMatchesWords: without case",
    conditions: { attachmentExtensionMatchesWords: ["exe"] },
    mail: attached({ fileName: "a.pdf.EXE" }),
    want: { yes: "exe" },
  },
  {
    name: "attachmentExtensionMatchesWords: written with a dot",
    conditions: { attachmentExtensionMatchesWords: [".exe"] },
    mail: attached({ fileName: "a.exe" }),
    want: { yes: "exe" },
  },
  {
    name: "attachmentExtensionMatchesWords: dots and spaces at the end do not hide it",
    conditions: { attachmentExtensionMatchesWords: ["exe"] },
    mail: attached({ fileName: "a.exe. ." }),
    want: { yes: "exe" },
  },
  {
    name: "attachmentExtensionMatchesWords: two labels",
    conditions: { attachmentExtensionMatchesWords: ["tar.gz"] },
    mail: attached({ fileName: "a.tar.gz" }),
    want: { yes: "tar.gz" },
  },
  {
    name: "attachmentExtensionMatchesWords: a name without a dot has none",
    conditions: { attachmentExtensionMatchesWords: ["exe"] },
    mail: attached({ fileName: "exe" }),
    want: "no",
  },
  {
    name: "attachmentExtensionMatchesWords: not in the middle",
    conditions: { attachmentExtensionMatchesWords: ["exe"] },
    mail: attached({ fileName: "a.exe.txt" }),
    want: "no",
  },
  {
    name: "attachmentTypeIs: declared",
    conditions: { attachmentTypeIs: ["Application/PDF"] },
    mail: attached({ contentType: "application/pdf" }),
    want: { yes: "application/pdf" },
  },
  {
    name: "attachmentTypeIs: sniffed",
    conditions: { attachmentTypeIs: ["application/zip"] },
    mail: attached({ sniffedType: "application/zip" }),
    want: { yes: "application/zip" },
  },
  {
    name: "attachmentTypeIs: type/*",
    conditions: { attachmentTypeIs: ["video/*"] },
    mail: attached({ contentType: "video/mp4" }),
    want: { yes: "video/*" },
  },
  {
    name: "attachmentTypeIs: another",
    conditions: { attachmentTypeIs: ["video/*"] },
    mail: attached({ contentType: "audio/mp4" }),
    want: "no",
  },
  {
    name: "attachmentHasExecutableContent: a program under another name",
    conditions: { attachmentHasExecutableContent: true },
    mail: attached({ fileName: "a.txt", contentType: "text/plain", sniffedType: "application/x-msdownload" }),
    want: { yes: "true" },
  },
  {
    name: "attachmentHasExecutableContent: none",
    conditions: { attachmentHasExecutableContent: true },
    mail: attached({ fileName: "a.exe" }),
    want: "no",
  },
  {
    name: "attachmentHasExecutableContent: false, and none",
    conditions: { attachmentHasExecutableContent: false },
    want: { yes: "false" },
  },
  {
    name: "attachmentSizeOver: the largest",
    conditions: { attachmentSizeOver: "1Ki" },
    mail: attached({ size: 5 }, { size: 1025 }),
    want: { yes: "1025" },
  },
  {
    name: "attachmentSizeOver: exactly",
    conditions: { attachmentSizeOver: "1Ki" },
    mail: attached({ size: 1024 }),
    want: "no",
  },
  {
    name: "attachmentSizeOver: over in what is known of mail too complex",
    conditions: { attachmentSizeOver: "1Ki" },
    mail: { mime: { tooComplex: true, parts: [part({ size: 9999 })] } },
    want: { yes: "9999" },
  },
  {
    name: "attachmentSizeOver: under in mail too complex",
    conditions: { attachmentSizeOver: "1Ki" },
    mail: { mime: { tooComplex: true } },
    want: "unknown",
  },
  {
    name: "hasAttachment: true, and there is one",
    conditions: { hasAttachment: true },
    mail: attached({}),
    want: { yes: "true" },
  },
  {
    name: "hasAttachment: true, and there is text only",
    conditions: { hasAttachment: true },
    mail: attached({ attachment: false }),
    want: "no",
  },
  {
    name: "hasAttachment: false, and there is none",
    conditions: { hasAttachment: false },
    want: { yes: "false" },
  },
  {
    name: "hasAttachment: one is known of mail too complex",
    conditions: { hasAttachment: true },
    mail: { mime: { tooComplex: true, parts: [part({})] } },
    want: { yes: "true" },
  },
  {
    name: "hasAttachment: not examined",
    conditions: { hasAttachment: false },
    mail: { mime: null },
    want: "unknown",
  },
  // message
  {
    name: "messageSizeOver: larger",
    conditions: { messageSizeOver: "1k" },
    mail: { size: 2000, header: "A: b\n" },
    want: { yes: "2008" },
  },
  { name: "messageSizeOver: smaller", conditions: { messageSizeOver: "1k" }, want: "no" },
  ...(
    [
      ["OOF", "Auto-Submitted: auto-replied"],
      ["OOF", "Precedence: auto_reply"],
      ["AutoForward", "X-MS-Exchange-Organization-AutoForwarded: true"],
      ["AutoForward", "Autoforwarded: TRUE"],
      ["Encrypted", "Content-Type: multipart/encrypted; protocol=x"],
      ["Encrypted", "Content-Type: application/pkcs7-mime; smime-type=enveloped-data"],
      ["Signed", "Content-Type: multipart/signed; protocol=x"],
      ["Signed", "Content-Type: application/x-pkcs7-mime; smime-type=signed-data"],
      ["Calendaring", "Content-Type: text/calendar; method=REQUEST"],
      ["ReadReceipt", "Content-Type: multipart/report;\n report-type=disposition-notification"],
    ] as const
  ).map(
    ([type, line]): Row => ({
      name: `messageTypeMatches: ${type} by ${line}`,
      conditions: { messageTypeMatches: type },
      mail: header(line),
      want: { yes: type },
    }),
  ),
  ...(
    [
      ["OOF", "Auto-Submitted: auto-replied\nContent-Type: multipart/report; report-type=delivery-status"],
      ["OOF", "Auto-Submitted: no"],
      ["AutoForward", "Autoforwarded: false"],
      ["Encrypted", "Content-Type: application/pkcs7-mime; smime-type=signed-data"],
      ["Signed", "Content-Type: multipart/mixed"],
      ["Calendaring", "Content-Type: multipart/mixed"],
      ["ReadReceipt", "Content-Type: multipart/report; report-type=delivery-status"],
    ] as const
  ).map(
    ([type, line]): Row => ({
      name: `messageTypeMatches: no ${type} by ${line}`,
      conditions: { messageTypeMatches: type },
      mail: header(line),
      want: "no",
    }),
  ),
  {
    name: "messageTypeMatches: Calendaring in a part",
    conditions: { messageTypeMatches: "Calendaring" },
    mail: { ...header("Content-Type: multipart/alternative"), ...attached({ contentType: "text/calendar" }) },
    want: { yes: "Calendaring" },
  },
  {
    name: "messageTypeMatches: Calendaring of parts that were not examined",
    conditions: { messageTypeMatches: "Calendaring" },
    mail: { ...header("Content-Type: multipart/mixed"), mime: null },
    want: "unknown",
  },
  {
    name: "messageTypeMatches: Calendaring of plain text that was not examined",
    conditions: { messageTypeMatches: "Calendaring" },
    mail: { mime: null },
    want: "no",
  },
  {
    name: "withImportance: Importance",
    conditions: { withImportance: "High" },
    mail: header("Importance: high\nX-Priority: 5"),
    want: { yes: "High" },
  },
  {
    name: "withImportance: X-Priority",
    conditions: { withImportance: "Low" },
    mail: header("X-Priority: 5 (Lowest)"),
    want: { yes: "Low" },
  },
  {
    name: "withImportance: Priority",
    conditions: { withImportance: "High" },
    mail: header("Priority: urgent"),
    want: { yes: "High" },
  },
  {
    name: "withImportance: nothing said is Normal",
    conditions: { withImportance: "Normal" },
    want: { yes: "Normal" },
  },
  {
    name: "withImportance: words that objects know by themselves say nothing",
    conditions: { withImportance: "Normal" },
    mail: header("Importance: constructor\nPriority: __proto__"),
    want: { yes: "Normal" },
  },
  { name: "withImportance: another", conditions: { withImportance: "High" }, want: "no" },
  { name: "sclOver: this", conditions: { sclOver: 5 }, mail: { stamps: { SCL: "5" } }, want: { yes: "5" } },
  { name: "sclOver: lower", conditions: { sclOver: 5 }, mail: { stamps: { SCL: "4" } }, want: "no" },
  {
    name: "sclOver: -1 is trusted and lower than 0",
    conditions: { sclOver: 0 },
    mail: { stamps: { SCL: "-1" } },
    want: "no",
  },
  { name: "sclOver: never stamped", conditions: { sclOver: -1 }, want: "no" },
  {
    name: "stampIs: the value",
    conditions: { stampIs: { name: "SPF", values: ["fail", "softfail"] } },
    mail: { stamps: { SPF: "softfail" } },
    want: { yes: "SPF=softfail" },
  },
  {
    name: "stampIs: another value",
    conditions: { stampIs: { name: "SPF", values: ["fail"] } },
    mail: { stamps: { SPF: "pass" } },
    want: "no",
  },
  { name: "stampIs: never stamped", conditions: { stampIs: { name: "SPF", values: ["fail"] } }, want: "no" },
  {
    name: "a pattern that cannot be used is unknown",
    unchecked: true,
    conditions: { subjectMatchesPatterns: ["(?=x)"] },
    want: "unknown",
  },
  {
    name: "a pattern that cannot be used does not matter beside one that matches",
    unchecked: true,
    conditions: { subjectMatchesPatterns: ["(?=x)", "hello"] },
    want: { yes: "Hello" },
  },
];

describe("predicates", () => {
  test.each(ROWS)("$name", ({ conditions, location, unchecked, mail: options, want }) => {
    const [predicate = ""] = Object.keys(conditions);
    const given = unchecked ? {} : { conditions };
    const parsed = rule({
      ...given,
      onError: "Ignore",
      ...(location && { senderAddressLocation: location }),
    });
    const entry = unchecked ? { ...parsed, conditions } : parsed;
    const rules = compileRules([entry], { domains });
    const expected = typeof want === "string" ? { result: want } : { result: "yes", evidence: want.yes };
    const explained = rules.apply(mail(options), { explain: true });
    expect(explained.trace[0]?.predicates).toMatchObject([{ predicate, ...expected }]);
    const outcome = { yes: "matched", no: undefined, unknown: "error" }[expected.result];
    expect(rules.apply(mail(options)).trace[0]?.outcome).toBe(outcome);
  });

  test("every predicate of the schema has a row that holds and one that does not", () => {
    for (const name of Object.keys(Predicates.shape)) {
      const wants = ROWS.filter((row) => Object.keys(row.conditions)[0] === name).map(({ want }) => want);
      expect(
        wants.some((want) => typeof want === "object"),
        `${name} yes`,
      ).toBe(true);
      expect(wants.includes("no"), `${name} no`).toBe(true);
    }
  });

  test("only rules that look at text or attachments need the content examined", () => {
    const needs = (...conditions: object[]) =>
      compileRules(
        conditions.map((one) => rule({ conditions: one })),
        { domains },
      ).needsMime;
    expect(needs({ subjectContainsWords: ["x"] }, { messageSizeOver: "1k" })).toBe(false);
    expect(needs({ subjectOrBodyContainsWords: ["x"] })).toBe(true);
    expect(needs({ anyOf: [{ hasAttachment: true }] })).toBe(true);
    expect(compileRules([rule({ exceptions: { attachmentSizeOver: "1k" } })], { domains }).needsMime).toBe(
      true,
    );
  });
});
