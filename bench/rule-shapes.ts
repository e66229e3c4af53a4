/** Rules of mixed kinds for benchmarks; none of them holds for any message there. */

/** Fields of a TransportRule's spec, as manifests write them. */
export interface RuleShape {
  readonly conditions: object;
  readonly exceptions?: object;
  readonly activationDate?: string;
  readonly expiryDate?: string;
}

/** Each names something that no message there has. */
const KINDS: readonly ((n: number) => object)[] = [
  (n) => ({ senderDomainIs: [`sender${n}.example`] }),
  (n) => ({ from: [`user${n}@partner.example`], fromScope: "NotInOrganization" }),
  (n) => ({ sentTo: [`nobody${n}@contoso.example`] }),
  (n) => ({ recipientDomainIs: [`customer${n}.example`], hasAttachment: true }),
  (n) => ({ subjectContainsWords: [`project${n}`, `code name ${n}`] }),
  (n) => ({ subjectOrBodyContainsWords: [`secret${n}`], sentToScope: "NotInOrganization" }),
  (n) => ({ subjectOrBodyMatchesPatterns: [`account-${n}\\s+\\d{6,}`] }),
  (n) => ({ headerContainsWords: { header: "X-Campaign", words: [`wave${n}`] } }),
  (n) => ({ senderIpRanges: [`10.${(n >> 8) & 255}.${n & 255}.0/24`] }),
  (n) => ({ attachmentExtensionMatchesWords: [`ext${n}`] }),
  (n) => ({ stampIs: { name: "List", values: [`block${n}`] } }),
  (n) => ({ anyOf: [{ subjectContainsWords: [`alpha${n}`] }, { senderDomainIs: [`beta${n}.example`] }] }),
];

/** What rules also look at. Here a message lacks it by far, or holds it and the rule is not in force. */
const FURTHER_KINDS: readonly ((n: number) => RuleShape)[] = [
  (n) => ({ conditions: { messageSizeOver: `${26 + (n % 100)}Mi`, sentToScope: "InOrganization" } }),
  (n) => ({ conditions: { attachmentSizeOver: `${10 + (n % 100)}Mi` } }),
  (n) => ({ conditions: { sclOver: 9, recipientAddressContainsWords: [`team${n}`] } }),
  (n) => ({ conditions: { recipientCountOver: 1000 + n } }),
  (n) => ({
    conditions: { headerMatchesPatterns: { header: "X-Mailer", patterns: [`^Bulk ?Mailer ${n}`] } },
  }),
  (n) => ({ conditions: { headerExists: [`X-Ticket-${n}`] } }),
  (n) => ({ conditions: { messageTypeMatches: "AutoForward", fromAddressContainsWords: [`robot${n}`] } }),
  (n) => ({ conditions: { withImportance: "High", subjectMatchesPatterns: [`^urgent ${n}\\b`] } }),
  (n) => ({ conditions: { attachmentNameMatchesPatterns: [`^invoice-${n}-\\d+\\.pdf$`] } }),
  (n) => ({ conditions: { authenticated: true, anyOfToCcHeader: [`board${n}@contoso.example`] } }),
  (n) => ({
    conditions: { senderDomainIs: [`vendor${n}.example`] },
    exceptions: { subjectContainsWords: [`order ${n}`] },
  }),
  (n) => ({
    conditions: { fromScope: "NotInOrganization", subjectOrBodyContainsWords: [`campaign ${n}`] },
    activationDate: "2020-01-01T00:00:00Z",
  }),
  () => ({ conditions: { recipientDomainIs: ["contoso.example"] }, expiryDate: "2021-01-01T00:00:00Z" }),
];

/** The conditions of the n-th rule. */
export function missCondition(n: number): object {
  return KINDS[n % KINDS.length]?.(n) ?? {};
}

/** The n-th rule: of the kinds of missCondition, and of those that look at size, time, type, level and exceptions. */
export function missRule(n: number): RuleShape {
  const kind = n % (KINDS.length + FURTHER_KINDS.length);
  return FURTHER_KINDS[kind - KINDS.length]?.(n) ?? { conditions: KINDS[kind]?.(n) ?? {} };
}
