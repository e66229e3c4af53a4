/** Predicates on the sender: addresses, domain, scope, client address, authentication, connector. */
import { type Address, addressKey } from "../../mail/address.ts";
import { domainAndParents } from "../../mail/domain.ts";
import { type IpAddress, type IpRange, parseIp, parseIpRange, rangeContains } from "../../mail/ip-range.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import { complete, NONE } from "./facet-values.ts";
import { addressKeys, domainKeys, type Factories } from "./factory.ts";
import { type Facet, hasValue, NO, type Predicate, unknown, yes } from "./predicate.ts";
import { containsWords, matchesPatterns, type TextSource } from "./text-source.ts";
import { addressText, type MessageView } from "./view.ts";

type Location = RuleEntry["senderAddressLocation"];

export const senderPredicates = {
  from: (addresses, { senderAddressLocation }) =>
    hasValue("from", senderAddress(senderAddressLocation), addressKeys(addresses)),
  fromScope: (scope) => hasValue("fromScope", senderScope, [scope]),
  fromAddressContainsWords: (words, context) =>
    containsWords("fromAddressContainsWords", senderTexts(context.senderAddressLocation), words, context),
  fromAddressMatchesPatterns: (patterns, context) =>
    matchesPatterns(
      "fromAddressMatchesPatterns",
      senderTexts(context.senderAddressLocation),
      patterns,
      context,
    ),
  senderDomainIs: (domains, { senderAddressLocation }) =>
    hasValue("senderDomainIs", senderDomain(senderAddressLocation), domainKeys(domains)),
  senderIpRanges: (ranges) => clientIsIn(ranges),
  authenticated: (wanted) => hasValue("authenticated", authenticated, [String(wanted)]),
  receiveConnectorIs: (names) => hasValue("receiveConnectorIs", receiveConnector, names),
} satisfies Partial<Factories>;

const NOBODY: readonly Address[] = [];

function senders(view: MessageView, location: Location): readonly Address[] {
  const { sender } = view.message.envelope;
  const fromHeader = location === "Envelope" ? NOBODY : view.headerAddresses("from");
  if (sender === null || location === "Header") return fromHeader;
  return fromHeader.length === 0 ? [sender] : [sender, ...fromHeader];
}

function senderAddress(location: Location): Facet {
  return {
    name: `senderAddress:${location}`,
    rank: 1,
    needsMime: false,
    values: (view) => complete(senders(view, location).map(addressKey)),
  };
}

function senderDomain(location: Location): Facet {
  return {
    name: `senderDomain:${location}`,
    rank: 2,
    needsMime: false,
    values: (view) => complete(senders(view, location).flatMap(({ domain }) => domainAndParents(domain))),
  };
}

function senderTexts(location: Location): TextSource {
  return {
    name: `sender:${location}`,
    needsMime: false,
    texts: (view) => ({ texts: senders(view, location).map(addressText), complete: true }),
  };
}

const INSIDE = complete(["InOrganization"]);
const OUTSIDE = complete(["NotInOrganization"]);

const senderScope: Facet = {
  name: "senderScope",
  rank: 9,
  needsMime: false,
  values: (view) => (senderIsInside(view) ? INSIDE : OUTSIDE),
};

/**
 * Internal mail from an accepted domain. A null reverse-path names no domain: our own DSNs are inside, others are
 * judged by the From field, so that an internal server's DSNs and out-of-office replies are inside too.
 */
function senderIsInside(view: MessageView): boolean {
  const { origin, envelope } = view.message;
  const madeHere = origin.connector === "";
  if (!origin.internal && !madeHere) return false;
  if (envelope.sender !== null) return view.domains.isInside(envelope.sender.domain);
  const from = view.headerAddresses("from");
  return madeHere || (from.length > 0 && from.every(({ domain }) => view.domains.isInside(domain)));
}

const authenticated: Facet = {
  name: "authenticated",
  rank: 9,
  needsMime: false,
  values: ({ message }) => complete([String(message.origin.user !== undefined)]),
};

const receiveConnector: Facet = {
  name: "receiveConnector",
  rank: 6,
  needsMime: false,
  values({ message }) {
    const { connector } = message.origin;
    return connector === "" ? NONE : complete([connector, connector.slice(connector.indexOf("/") + 1)]);
  },
};

function clientIsIn(texts: readonly string[]): Predicate {
  const ranges = texts.map((text) => parseIpRange(text));
  const valid = ranges.filter((range) => range !== undefined);
  const fault = valid.length < ranges.length ? "a client address range cannot be read" : undefined;
  const keys = fault === undefined ? valid.map(blockOf) : [undefined];
  const known = keys.filter((key) => key !== undefined);
  return {
    name: "senderIpRanges",
    cost: 3,
    needsMime: false,
    index: known.length < keys.length ? undefined : { kind: "facet", facet: clientBlocks, keys: known },
    perRecipient: false,
    test(view) {
      const { message } = view;
      const address = clientOf(view);
      const found = address && valid.find((range) => rangeContains(range, address));
      if (found !== undefined) return yes(`${message.origin.clientAddress} in ${found.text}`);
      return fault === undefined ? NO : unknown(fault);
    },
  };
}

function clientOf(view: MessageView): IpAddress | undefined {
  return view.memo("client", readClient);
}

function readClient({ message }: MessageView): IpAddress | undefined {
  return parseIp(message.origin.clientAddress);
}

/** Bits of an address that name a block of the index, small blocks first. */
const BLOCK_BITS = { 4: [24, 16, 8], 6: [64, 48, 32, 16] } as const;

const clientBlocks: Facet = {
  name: "clientBlocks",
  rank: 3,
  needsMime: false,
  values(view) {
    const address = clientOf(view);
    return address === undefined
      ? NONE
      : complete(BLOCK_BITS[address.family].map((bits) => blockKey(address, bits)));
  },
};

/** The smallest block that holds the whole range; undefined: it is wider than any. */
function blockOf(range: IpRange): string | undefined {
  const first: IpAddress = { family: range.family, value: range.first };
  const last: IpAddress = { family: range.family, value: range.last };
  const bits = BLOCK_BITS[range.family].find((size) => blockKey(first, size) === blockKey(last, size));
  return bits === undefined ? undefined : blockKey(first, bits);
}

function blockKey({ family, value }: IpAddress, bits: number): string {
  // Numbers where they suffice: this is done for each message.
  if (family === 4) return `4/${bits}/${Number(value) >>> (32 - bits)}`;
  return `6/${bits}/${value >> BigInt(128 - bits)}`;
}
