/** NextHop: where one delivery queue leads (Exchange's NextHopSolutionKey). A value from categorizer to delivery. */

export interface NextHop {
  /** Unique and stable: `${connector}|${domain}${requireTls ? "|tls" : ""}`. Names the delivery queue. */
  readonly key: string;
  /** namespace/name of the send connector; delivery reads its settings from the snapshot in force. */
  readonly connector: string;
  /** MX: the recipient domain to look up. SmartHost, Drop: "" (one queue for the connector). */
  readonly domain: string;
  /** TLS demanded by the message (REQUIRETLS or a rule), whatever the connector says. */
  readonly requireTls: boolean;
}

/** Builds the next hop with its key. */
export function nextHop(connector: string, domain: string, requireTls: boolean): NextHop {
  return { key: `${connector}|${domain}${requireTls ? "|tls" : ""}`, connector, domain, requireTls };
}

/** The next hop that a key names. */
export function parseNextHopKey(key: string): NextHop {
  const [connector = "", domain = "", tls] = key.split("|");
  return { key, connector, domain, requireTls: tls === "tls" };
}
