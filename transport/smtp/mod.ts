/** Door of the smtp room: SMTP in, from the socket to the events of a SessionHandler. */
import type { Clock } from "../../lib/clock.ts";
import type { Counts } from "../../lib/counts.ts";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { Rates } from "../../lib/rates.ts";
import type { SessionHandler, SmtpSession } from "../../mail/session.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { Secrets, Snapshot } from "../../snapshot/schema.ts";

export { hashPassword } from "./auth.ts";
export { type ConnectorTable, createConnectorTable, type LocalEnd } from "./binding.ts";
export { type Candidate, type Selection, selectConnector, type Verdict } from "./connector.ts";
export { checkRecipient, checkSender, namedByLiteral } from "./permissions.ts";
export { createSmtpService } from "./service.ts";

export interface SmtpLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface SmtpDeps {
  /** Makes the handler of one connection; the session object is live. */
  open(session: SmtpSession): SessionHandler;
  readonly clock: Clock;
  /** What a binding without an address means; undefined: every address. */
  readonly listenAddress?: string;
  /** Where sessions are held against limits; shared with other threads when they listen too. Default: own ones. */
  readonly counts?: Counts;
  /** Where messages are held against their rates, likewise. */
  readonly rates?: Rates;
  /** True: other threads of this process listen on the same addresses (SO_REUSEPORT), and the kernel deals connections out. */
  readonly reusePort?: boolean;
  readonly log: SmtpLog;
  /** Counters for metrics: "connection", "refused", "reply" ... with labels. */
  count(event: string, labels: Readonly<Record<string, string>>): void;
}

export interface SmtpConfig {
  readonly snapshot: Snapshot;
  readonly domains: DomainTable;
  readonly secrets: Secrets;
}

/** "medium": MAIL is slowed (tarpit). "high": MAIL is answered 452 4.3.1. */
export type PressureLevel = "normal" | "medium" | "high";

/** A configuration made ready beside the one in force. Exactly one of take() and drop() ends it. */
export interface PreparedSmtp {
  /** Bindings that cannot be opened, certificates that do not load, bad credentials. The rest is ready. */
  readonly diagnostics: readonly Diagnostic[];
  /** In force: new bindings answer, gone ones close (their sessions finish), the rest is untouched. */
  take(): void;
  /** What was in force stays, sockets and certificates too. */
  drop(): Promise<void>;
}

export interface SmtpService {
  /** Loads certificates and binds new sockets; nobody is served differently yet. Waits for its turn. */
  prepare(config: SmtpConfig): Promise<PreparedSmtp>;
  /** prepare() and take(). */
  apply(config: SmtpConfig): Promise<readonly Diagnostic[]>;
  /** Bound addresses, with the real port where a binding said 0 (tests). */
  bindings(): readonly { readonly address: string; readonly port: number }[];
  setPressure(level: PressureLevel): void;
  /** True: new connections and new transactions get 421, open transactions may end. False: mail is taken again. */
  setDraining(draining: boolean): void;
  /** setDraining(true); resolves when no session is in a transaction. */
  drain(): Promise<void>;
  /** Stops listening, drains for at most graceMs, then closes what is left. */
  close(graceMs: number): Promise<void>;
  stats(): { readonly sessions: number; readonly byConnector: Readonly<Record<string, number>> };
}
