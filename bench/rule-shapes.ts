/** Conditions of mixed kinds for benchmarks of rules; each names something that no message there has. */

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

/** The conditions of the n-th rule. */
export function missCondition(n: number): object {
  return KINDS[n % KINDS.length]?.(n) ?? {};
}
