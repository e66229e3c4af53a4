/** NextHop: where one delivery queue leads (Exchange's NextHopSolutionKey). A value from categorizer to delivery. */

export interface NextHop {
  /** Names the delivery queue, unique and stable: "mail/hosts", "mail/internet:example.com", "mail/internet:example.com+tls". */
  readonly key: string;
  /** namespace/name of the send connector; delivery reads its settings from the snapshot in force. */
  readonly connector: string;
  /** MX: the recipient domain to look up. SmartHost, Drop: "" (one queue for the connector). */
  readonly domain: string;
  /** TLS demanded by the message (REQUIRETLS or a rule), whatever the connector says. */
  readonly requireTls: boolean;
}

const TLS = "+tls";

/** Builds the next hop with its key. */
export function nextHop(connector: string, domain: string, requireTls: boolean): NextHop {
  const key = `${connector}${domain === "" ? "" : `:${domain}`}${requireTls ? TLS : ""}`;
  return { key, connector, domain, requireTls };
}

/** The next hop that a key names. A connector's name holds no colon; an address literal may. */
export function parseNextHopKey(key: string): NextHop {
  const requireTls = key.endsWith(TLS);
  const place = requireTls ? key.slice(0, -TLS.length) : key;
  const colon = place.indexOf(":");
  const connector = colon < 0 ? place : place.slice(0, colon);
  return { key, connector, domain: colon < 0 ? "" : place.slice(colon + 1), requireTls };
}
