/**
 * Session: nodemailer's SMTPConnection as we use it: it connects, greets, upgrades to TLS and authenticates.
 *
 * @module
 */
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Logger } from "../../lib/log.ts";
import type { ClientOptions } from "./client-options.ts";
import { clean, type Phase } from "./outcome.ts";

export interface SessionError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly response?: string;
  readonly command?: string;
  readonly timeoutType?: string;
}

/** What we lean on inside nodemailer 10.6.0; smtp-client.test.ts fails when an upgrade changes it. */
export class Session extends SMTPConnection {
  /** Complete replies not yet handed out. */
  declare _responseQueue: string[];
  /** What came of a reply that is not complete. */
  declare _remainder: string;
  /** Listens to the socket for replies. */
  declare _onSocketData: (chunk: Buffer) => void;
  declare _supportedExtensions: string[];
  declare _ehloLines: string[];
  /** The EHLO reply while STARTTLS is under way, else false. */
  declare _plaintextEhlo: string | false;
  readonly extensions = new Map<string, string>();

  /** Instead of nodemailer's, which also finds extensions in the host name of the first line (RFC 5321 §4.1.1.1). */
  _parseEhloExtensions(reply: string): void {
    // RFC 3207 §4.2: what was said before TLS is forgotten.
    this.extensions.clear();
    this._ehloLines = reply
      .split(/\r?\n/)
      .slice(1)
      .map((line) => line.slice(4).trim());
    for (const line of this._ehloLines) {
      const [keyword = "", ...parameters] = line.split(/[ =]+/);
      if (keyword !== "") this.extensions.set(keyword.toUpperCase(), parameters.join(" "));
    }
    this._supportedExtensions = [...this.extensions.keys()];
    this.allowsAuth = this.extensions.has("AUTH");
  }
}

/** A session that is not connected yet. `isSecret`: what is said now goes into no log. */
export function makeSession(options: ClientOptions, isSecret: () => boolean): Session {
  const { tls, timeouts, protocolLog } = options;
  return new Session({
    host: options.address,
    port: options.port,
    name: options.name,
    lmtp: options.lmtp,
    secure: tls.implicit,
    ignoreTLS: tls.use === "never",
    requireTLS: tls.use === "always",
    opportunisticTLS: tls.use === "if offered",
    tls: tls.options,
    connectionTimeout: timeouts.connectMs,
    greetingTimeout: timeouts.connectMs,
    // A backstop while the session is opened; the client's deadline is the rule.
    socketTimeout: Math.max(timeouts.replyMs, timeouts.finalMs) + 60_000,
    socketCloseTimeout: 1000,
    maxResponseSize: 64 * 1024,
    logger: protocolLog === undefined ? false : protocolLogger(protocolLog, options.address, isSecret),
    transactionLog: protocolLog !== undefined,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  });
}

/** How far opening it came before it failed. */
export function phaseOf(session: Session, error: SessionError | undefined, { tls }: ClientOptions): Phase {
  const { upgrading = false, _plaintextEhlo } = session;
  if (error?.code === "ETLS" || upgrading || _plaintextEhlo !== false) return "tls";
  if (session.stage === "init") {
    const refused = error?.originalCode === undefined || /^E[A-Z]+$/.test(error.originalCode);
    return tls.implicit && !refused ? "tls" : "connect";
  }
  return /^(?:EHLO|LHLO|HELO)$/.test(error?.command ?? "") ? "ehlo" : "greeting";
}

/** What is said after nodemailer has opened the session. */
export function logDialogue(log: Logger, remote: string, from: "client" | "server", text: string): void {
  log.info({ remote, from, line: clean(text) }, "smtp dialogue");
}

/** nodemailer's logger: the dialogue alone. It hides passwords itself; while authenticating we hide the rest too. */
function protocolLogger(log: Logger, remote: string, isSecret: () => boolean) {
  const quiet = () => {};
  const debug = ({ tnx }: { tnx?: string }, text: string) => {
    if (tnx !== "client" && tnx !== "server") return;
    logDialogue(log, remote, tnx, tnx === "client" && isSecret() ? "AUTH [hidden]" : text);
  };
  return { trace: quiet, debug, info: quiet, warn: quiet, error: quiet, fatal: quiet, level: quiet };
}
