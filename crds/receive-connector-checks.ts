/** What a ReceiveConnector can get wrong across its fields: open relays, TLS without a certificate, AUTH that nobody can use. */
import { parseIp, parseIpRange } from "../mail/ip-range.ts";
import { isWholeFamily, isWideRange, type ReportFault, reportDuplicates } from "./checks.ts";
import { parseQuantity } from "./common.ts";

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
    fault(["binaryMimeEnabled"], "needs chunkingEnabled: set this to false too, or leave CHUNKING on");
  }
  if (parseQuantity(spec.maxHeaderSize) > parseQuantity(spec.maxMessageSize)) {
    fault(["maxHeaderSize"], "must not be larger than maxMessageSize");
  }
}

function checkReach(spec: CheckedFields, fault: ReportFault): void {
  const { bindings, remoteIPRanges, permissionGroups, authMechanisms, proxyProtocol } = spec;
  const wide = remoteIPRanges.find(isWideRange);
  const mend = `${wide}: narrow remoteIPRanges to IPv4 /16, IPv6 /48 or less`;
  const relay = permissionGroups.indexOf("Relay");
  if (wide !== undefined && relay >= 0) {
    fault(["permissionGroups", relay], `Relay would be an open relay for ${mend}`);
  }
  const trust = authMechanisms.indexOf("ExternalAuthoritative");
  if (wide !== undefined && trust >= 0) {
    fault(["authMechanisms", trust], `ExternalAuthoritative would trust all of ${mend}`);
  }
  for (const [index, range] of (proxyProtocol?.trustedCIDRs ?? []).entries()) {
    if (isWholeFamily(range)) {
      fault(
        ["proxyProtocol", "trustedCIDRs", index],
        "would let every client choose its address: name the balancers",
      );
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
    fault(["authMechanisms"], "tls.mode Required needs Tls here, else STARTTLS is not offered");
  }
}

function checkAuth(spec: CheckedFields, fault: ReportFault): void {
  const { authMechanisms, permissionGroups, credentialsRef, sendAs, tls } = spec;
  const basic = authMechanisms.find((name) => name.startsWith("BasicAuth"));
  if (basic !== undefined && credentialsRef === undefined) {
    fault(["credentialsRef"], `authMechanisms ${basic} needs a Secret with the users`);
  }
  if (basic === undefined && credentialsRef !== undefined) {
    fault(["credentialsRef"], "is not used without BasicAuth or BasicAuthRequireTLS in authMechanisms");
  }
  if (basic === undefined && permissionGroups.includes("AuthenticatedUsers")) {
    fault(
      ["permissionGroups", permissionGroups.indexOf("AuthenticatedUsers")],
      "AuthenticatedUsers needs BasicAuth or BasicAuthRequireTLS in authMechanisms",
    );
  }
  if (basic === undefined && sendAs.length > 0) {
    fault(["sendAs"], "is not used without BasicAuth or BasicAuthRequireTLS in authMechanisms");
  }
  const tlsOnly = authMechanisms.includes("BasicAuthRequireTLS") && !authMechanisms.includes("BasicAuth");
  if (tlsOnly && (tls.mode === "None" || tls.certificateRefs.length === 0)) {
    fault(
      ["authMechanisms", authMechanisms.indexOf("BasicAuthRequireTLS")],
      "nobody could log on: BasicAuthRequireTLS needs TLS and tls.certificateRefs",
    );
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
