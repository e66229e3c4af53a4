/** Door of the categorizer: recipients resolved, routed and bifurcated. Pure; every decision carries its reason. */
import type { Address } from "../../mail/address.ts";
import type { Recipient } from "../../mail/message.ts";
import type { NextHop } from "../../mail/next-hop.ts";

export { type ResolveOptions, resolveRecipients } from "./resolve.ts";
export { createRouter } from "./route.ts";

/** A recipient that cannot be reached, with what the DSN says (RFC 3463). */
export interface FailedRecipient {
  readonly recipient: Recipient;
  readonly status: string;
  readonly text: string;
}

/** What happened to one address on its way; feeds tracking (RESOLVE, EXPAND, REDIRECT) and explain. */
export interface ResolveStep {
  readonly kind:
    | "mailbox"
    | "outside"
    | "relay"
    | "alias"
    | "group"
    | "forward"
    | "duplicate"
    | "loop"
    | "unknown"
    | "refused";
  readonly from: Address;
  readonly to: readonly Address[];
  /** AcceptedDomain namespace/name; "" outside. */
  readonly acceptedDomain: string;
  readonly reason: string;
}

export interface Resolution {
  readonly recipients: readonly Recipient[];
  readonly failed: readonly FailedRecipient[];
  /** Recipients whose NOTIFY=SUCCESS ends here because a group took over (RFC 3461 §5.2.7.3: "expanded"). */
  readonly expanded: readonly Recipient[];
  readonly steps: readonly ResolveStep[];
}

export interface RouteCandidate {
  readonly connector: string;
  readonly addressSpace: string;
  readonly cost: number;
  /**
   * "chosen" (with a warning after it where mail may loop), or why not: "address space does not match",
   * "too small for 40000000 octets", "less specific than contoso.example", "cost 20 > 10", ...
   */
  readonly verdict: string;
}

export interface Routing {
  readonly routes: readonly { readonly nextHop: NextHop; readonly recipients: readonly Recipient[] }[];
  /** No connector matches: wait in the Unreachable queue until the configuration changes. */
  readonly unreachable: readonly Recipient[];
  /** A connector matches, but the message is too big for all of them. */
  readonly failed: readonly FailedRecipient[];
  /** Empty unless asked for. */
  readonly explanation: readonly {
    readonly recipient: Recipient;
    readonly candidates: readonly RouteCandidate[];
  }[];
}

/** What routing must know of a message. */
export interface RouteFacts {
  readonly size: number;
  readonly requireTls: boolean;
  /** namespace/name chosen by a rule. */
  readonly connectorOverride: string | undefined;
}

/** Compiled and indexed once per snapshot. */
export interface Router {
  route(
    recipients: readonly Recipient[],
    facts: RouteFacts,
    options?: { readonly explain?: boolean },
  ): Routing;
}
