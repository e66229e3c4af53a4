/** What EHLO offers (RFC 5321 §4.1.1.1): decided from the connector and the state of the session. Pure. */
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";

export interface SessionState {
  /** True after EHLO, not HELO. */
  readonly extended: boolean;
  readonly isTls: boolean;
  readonly isAuthenticated: boolean;
  /** True when a certificate is at hand. */
  readonly hasCertificate: boolean;
}

/** The extensions in force: what is not offered here is refused when used. */
export interface Offer {
  readonly extended: boolean;
  readonly maxMessageSize: number;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  readonly binaryMime: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  readonly startTls: boolean;
  readonly auth: boolean;
}

/** What a connector offers in each state, by the state's number; entries of a snapshot never change. */
const offersOf = new WeakMap<ReceiveConnectorEntry, Offer[]>();

/** The same object for the same connector and state. */
export function offerOf(connector: ReceiveConnectorEntry, state: SessionState): Offer {
  const { extended, isTls, isAuthenticated, hasCertificate } = state;
  const number = (extended ? 1 : 0) + (isTls ? 2 : 0) + (isAuthenticated ? 4 : 0) + (hasCertificate ? 8 : 0);
  let offers = offersOf.get(connector);
  if (offers === undefined) {
    offers = [];
    offersOf.set(connector, offers);
  }
  offers[number] ??= makeOffer(connector, state);
  return offers[number];
}

function makeOffer(connector: ReceiveConnectorEntry, state: SessionState): Offer {
  return {
    extended: state.extended,
    maxMessageSize: connector.maxMessageSize,
    eightBitMime: connector.eightBitMimeEnabled,
    smtpUtf8: connector.smtpUtf8Enabled,
    chunking: connector.chunkingEnabled,
    // RFC 3030 §3: BINARYMIME needs CHUNKING.
    binaryMime: connector.chunkingEnabled && connector.binaryMimeEnabled,
    dsn: connector.deliveryStatusNotificationEnabled,
    requireTls: state.isTls, // RFC 8689 §4.2: only under TLS
    startTls: !state.isTls && state.hasCertificate && wantsStartTls(connector),
    auth: !state.isAuthenticated && mayAuthenticate(connector, state.isTls),
  };
}

/** Of offers that offerOf() made: they belong to one connector. */
const linesOf = new WeakMap<Offer, readonly string[]>();

/** The lines of the EHLO reply after the first. */
export function extensionLines(offer: Offer, connector: ReceiveConnectorEntry): readonly string[] {
  const known = linesOf.get(offer);
  if (known !== undefined) return known;
  const lines = makeLines(offer, connector);
  if (offersOf.get(connector)?.includes(offer)) linesOf.set(offer, lines);
  return lines;
}

function makeLines(offer: Offer, connector: ReceiveConnectorEntry): string[] {
  const limits = [`RCPTMAX=${connector.maxRecipientsPerMessage}`];
  if (connector.maxMessagesPerConnection !== undefined) {
    limits.unshift(`MAILMAX=${connector.maxMessagesPerConnection}`);
  }
  return [
    "PIPELINING", // RFC 2920
    `SIZE ${offer.maxMessageSize}`, // RFC 1870
    ...when(offer.eightBitMime, "8BITMIME"), // RFC 6152
    ...when(offer.smtpUtf8, "SMTPUTF8"), // RFC 6531
    ...when(offer.dsn, "DSN"), // RFC 3461
    "ENHANCEDSTATUSCODES", // RFC 2034
    ...when(offer.chunking, "CHUNKING"), // RFC 3030
    ...when(offer.binaryMime, "BINARYMIME"),
    ...when(offer.startTls, "STARTTLS"), // RFC 3207
    ...when(offer.requireTls, "REQUIRETLS"), // RFC 8689
    ...when(offer.auth, "AUTH PLAIN LOGIN"), // RFC 4954
    `LIMITS ${limits.join(" ")}`, // RFC 9422
  ];
}

/** True when the connector has STARTTLS at all, with a certificate or without. */
export function wantsStartTls({ tls, authMechanisms }: ReceiveConnectorEntry): boolean {
  if (tls.mode === "Required") return true;
  const isWanted = authMechanisms.includes("Tls") || authMechanisms.includes("BasicAuthRequireTLS");
  return tls.mode === "Opportunistic" && isWanted;
}

/** True when AUTH may be used now. */
export function mayAuthenticate(connector: ReceiveConnectorEntry, isTls: boolean): boolean {
  return connector.authMechanisms.includes("BasicAuth") || (isTls && hasAuth(connector));
}

/** True when the connector has AUTH at all. */
export function hasAuth({ authMechanisms }: ReceiveConnectorEntry): boolean {
  return authMechanisms.includes("BasicAuth") || authMechanisms.includes("BasicAuthRequireTLS");
}

function when(offered: boolean, line: string): string[] {
  return offered ? [line] : [];
}
