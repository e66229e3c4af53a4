/** What a ReceiveConnector can get wrong across its fields: open relays, TLS without a certificate, AUTH that nobody can use. */
import { parseIp, parseIpRange } from "../mail/ip-range.ts";
import { isWholeFamily, isWideRange, type ReportFault, reportDuplicates } from "./checks.ts";
import { parseQuantity } from "./common.ts";
import * as ranges from "./range-rules.ts";
import type { CelRule } from "./validation.ts";

const BINARY_NEEDS_CHUNKING = "needs chunkingEnabled: set this to false too, or leave CHUNKING on";
const HEADER_TOO_LARGE = "must not be larger than maxMessageSize";
const NO_STARTTLS = "tls.mode Required needs Tls here, else STARTTLS is not offered";
const NO_AUTH = "is not used without BasicAuth or BasicAuthRequireTLS in authMechanisms";
const NO_AUTH_FOR_USERS = "AuthenticatedUsers needs BasicAuth or BasicAuthRequireTLS in authMechanisms";
const NOBODY = "nobody could log on: BasicAuthRequireTLS needs TLS and tls.certificateRefs";
const ANY_BALANCER = "would let every client choose its address: name the balancers";
const OPEN_RELAY = "Relay would be an open relay for ";
const TOO_MUCH_TRUST = "ExternalAuthoritative would trust all of ";
const NARROW = ": narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less";

/** The fields that the checks read. Stated here, because the schema refers to the checks. */
interface CheckedFields {
  readonly bindings: readonly { readonly address?: string | undefined; readonly port: number }[];
  readonly remoteIPRanges: readonly string[];
  readonly permissionGroups: readonly string[];
  readonly authMechanisms: readonly string[];
  readonly credentialsRef?: object | undefined;
  readonly sendAs: readonly object[];
  readonly tls: { readonly mode: string; readonly certificateRefs: readonly object[] };
  readonly maxMessageSize: string;
  readonly maxHeaderSize: string;
  readonly chunkingEnabled: boolean;
  readonly binaryMimeEnabled: boolean;
  readonly proxyProtocol?: { readonly trustedCIDRs: readonly string[] } | undefined;
}

export function checkReceiveConnector(spec: CheckedFields, fault: ReportFault): void {
  checkReach(spec, fault);
  checkTls(spec, fault);
  checkAuth(spec, fault);
  if (spec.binaryMimeEnabled && !spec.chunkingEnabled) {
    // RFC 3030 §3: BINARYMIME can only be sent with BDAT.
    fault(["binaryMimeEnabled"], BINARY_NEEDS_CHUNKING);
  }
  if (parseQuantity(spec.maxHeaderSize) > parseQuantity(spec.maxMessageSize)) {
    fault(["maxHeaderSize"], HEADER_TOO_LARGE);
  }
}

function checkReach(spec: CheckedFields, fault: ReportFault): void {
  const { bindings, remoteIPRanges, permissionGroups, authMechanisms, proxyProtocol } = spec;
  const wide = remoteIPRanges.find(isWideRange);
  const mend = `${wide}${NARROW}`;
  const relay = permissionGroups.indexOf("Relay");
  if (wide !== undefined && relay >= 0) {
    fault(["permissionGroups", relay], `${OPEN_RELAY}${mend}`);
  }
  const trust = authMechanisms.indexOf("ExternalAuthoritative");
  if (wide !== undefined && trust >= 0) {
    fault(["authMechanisms", trust], `${TOO_MUCH_TRUST}${mend}`);
  }
  for (const [index, range] of (proxyProtocol?.trustedCIDRs ?? []).entries()) {
    if (isWholeFamily(range)) {
      fault(["proxyProtocol", "trustedCIDRs", index], ANY_BALANCER);
    }
  }
  reportDuplicates(bindings.map(bindingKey), (index, first) =>
    fault(["bindings", index], `is the same as bindings[${first}]`),
  );
  reportDuplicates(remoteIPRanges.map(rangeKey), (index, first) =>
    fault(["remoteIPRanges", index], `is the same as remoteIPRanges[${first}]`),
  );
}

function checkTls({ tls, authMechanisms }: CheckedFields, fault: ReportFault): void {
  const demanded = tls.mode === "Required" || tls.mode === "Implicit";
  if (demanded && tls.certificateRefs.length === 0) {
    fault(["tls", "certificateRefs"], `tls.mode ${tls.mode} needs at least one certificate`);
  }
  if (tls.mode === "Required" && !authMechanisms.includes("Tls")) {
    fault(["authMechanisms"], NO_STARTTLS);
  }
}

function checkAuth(spec: CheckedFields, fault: ReportFault): void {
  const { authMechanisms, permissionGroups, credentialsRef, sendAs, tls } = spec;
  const basic = authMechanisms.find((name) => name.startsWith("BasicAuth"));
  if (basic !== undefined && credentialsRef === undefined) {
    fault(["credentialsRef"], `authMechanisms ${basic} needs a Secret with the users`);
  }
  if (basic === undefined && credentialsRef !== undefined) {
    fault(["credentialsRef"], NO_AUTH);
  }
  if (basic === undefined && permissionGroups.includes("AuthenticatedUsers")) {
    fault(["permissionGroups", permissionGroups.indexOf("AuthenticatedUsers")], NO_AUTH_FOR_USERS);
  }
  if (basic === undefined && sendAs.length > 0) {
    fault(["sendAs"], NO_AUTH);
  }
  const tlsOnly = authMechanisms.includes("BasicAuthRequireTLS") && !authMechanisms.includes("BasicAuth");
  if (tlsOnly && (tls.mode === "None" || tls.certificateRefs.length === 0)) {
    fault(["authMechanisms", authMechanisms.indexOf("BasicAuthRequireTLS")], NOBODY);
  }
}

function bindingKey({ address, port }: CheckedFields["bindings"][number]): string | undefined {
  if (address === undefined) return `*|${port}`;
  const ip = parseIp(address);
  return ip && `${ip.family}:${ip.value}|${port}`;
}

function rangeKey(text: string): string | undefined {
  const range = parseIpRange(text);
  return range && `${range.family}:${range.first}-${range.last}`;
}

const WIDE = `self.remoteIPRanges.filter(range, ${ranges.isWide("range")})`;
const widest = (said: string) => `'${said}' + ${WIDE}[0] + '${NARROW}'`;
const demandsTls = "(self.tls.mode == 'Required' || self.tls.mode == 'Implicit')";
const offersAuth = "self.authMechanisms.exists(name, name.startsWith('BasicAuth'))";
const authUnderTlsOnly =
  "('BasicAuthRequireTLS' in self.authMechanisms && !('BasicAuth' in self.authMechanisms))";
const sameAddress =
  "(has(a.address) ? has(b.address) && (isIP(a.address) && isIP(b.address) ? ip(a.address) == ip(b.address) : a.address == b.address) : !has(b.address))";

/** The same in CEL, in the same order. */
export const RECEIVE_CONNECTOR_RULES: readonly CelRule[] = [
  {
    rule: "!self.binaryMimeEnabled || self.chunkingEnabled",
    message: BINARY_NEEDS_CHUNKING,
    fieldPath: ".binaryMimeEnabled",
  },
  {
    rule: "!isQuantity(self.maxHeaderSize) || !isQuantity(self.maxMessageSize) || quantity(self.maxHeaderSize).compareTo(quantity(self.maxMessageSize)) <= 0",
    message: HEADER_TOO_LARGE,
    fieldPath: ".maxHeaderSize",
  },
  {
    rule: `!('Relay' in self.permissionGroups) || ${WIDE}.size() == 0`,
    messageExpression: widest(OPEN_RELAY),
    fieldPath: ".permissionGroups",
  },
  {
    rule: `!('ExternalAuthoritative' in self.authMechanisms) || ${WIDE}.size() == 0`,
    messageExpression: widest(TOO_MUCH_TRUST),
    fieldPath: ".authMechanisms",
  },
  {
    rule: `!has(self.proxyProtocol) || !self.proxyProtocol.trustedCIDRs.exists(range, ${ranges.isWholeFamily("range")})`,
    message: ANY_BALANCER,
    fieldPath: ".proxyProtocol.trustedCIDRs",
  },
  {
    rule: `self.bindings.all(a, self.bindings.exists_one(b, a.port == b.port && ${sameAddress}))`,
    message: "two bindings are the same",
    fieldPath: ".bindings",
  },
  {
    rule: `!${demandsTls} || self.tls.certificateRefs.size() > 0`,
    messageExpression: "'tls.mode ' + self.tls.mode + ' needs at least one certificate'",
    fieldPath: ".tls.certificateRefs",
  },
  {
    rule: "self.tls.mode != 'Required' || 'Tls' in self.authMechanisms",
    message: NO_STARTTLS,
    fieldPath: ".authMechanisms",
  },
  {
    rule: `!${offersAuth} || has(self.credentialsRef)`,
    message: "BasicAuth and BasicAuthRequireTLS in authMechanisms need a Secret with the users",
    fieldPath: ".credentialsRef",
  },
  {
    rule: `${offersAuth} || !has(self.credentialsRef)`,
    message: NO_AUTH,
    fieldPath: ".credentialsRef",
  },
  {
    rule: `${offersAuth} || !('AuthenticatedUsers' in self.permissionGroups)`,
    message: NO_AUTH_FOR_USERS,
    fieldPath: ".permissionGroups",
  },
  {
    rule: `${offersAuth} || self.sendAs.size() == 0`,
    message: NO_AUTH,
    fieldPath: ".sendAs",
  },
  {
    rule: `!${authUnderTlsOnly} || (self.tls.mode != 'None' && self.tls.certificateRefs.size() > 0)`,
    message: NOBODY,
    fieldPath: ".authMechanisms",
  },
];
