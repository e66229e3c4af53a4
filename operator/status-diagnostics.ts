/** Diagnostics to conditions: which condition a reason speaks to, and what it says. Pure. */
import { REASON } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { fails, holds, type Verdict } from "./status-condition.ts";

const MAX_NAMED = 5;

/** A Diagnostic and who says it: namespace/name of transports, or nobody in particular. */
export interface Said {
  readonly diagnostic: Diagnostic;
  readonly transport: string | undefined;
}

export interface DiagnosticVerdicts {
  readonly accepted: Verdict;
  readonly resolvedRefs: Verdict;
  /** True: it lost a claim. */
  readonly conflicted: Verdict;
  /** True: not all of it is in force as written. */
  readonly partiallyInvalid: Verdict;
}

type Topic = "accepted" | "resolvedRefs" | "conflicted" | "partiallyInvalid" | "remark";

const TOPICS: Readonly<Record<string, Topic>> = {
  [REASON.transportNotFound]: "accepted",
  [REASON.notAllowedByTransport]: "accepted",
  [REASON.secretNotFound]: "resolvedRefs",
  [REASON.secretKeyNotFound]: "resolvedRefs",
  [REASON.invalidCertificate]: "resolvedRefs",
  CertificateExpired: "resolvedRefs",
  [REASON.connectorNotFound]: "resolvedRefs",
  [REASON.conflicted]: "conflicted",
  [REASON.nacked]: "partiallyInvalid",
  PartiallyInvalid: "partiallyInvalid",
};

/** `attached`: how many transports the object attaches to; with several, each is named. */
export function judgeDiagnostics(said: readonly Said[], attached: number): DiagnosticVerdicts {
  const of = (topic: Topic) => said.filter(({ diagnostic }) => topicOf(diagnostic) === topic);
  const text = (some: readonly Said[]) => sentences(some, attached);
  const refused = of("accepted");
  const lost = of("conflicted");
  const unresolved = of("resolvedRefs");
  const partly = of("partiallyInvalid");
  // Nothing is left of it: then it is not attached either.
  const blocking = [...refused, ...lost.filter(({ diagnostic }) => diagnostic.severity === "error")];
  return {
    accepted:
      blocking.length > 0
        ? fails(reasonOf(blocking), text(blocking))
        : holds(REASON.accepted, text(of("remark"))),
    resolvedRefs:
      unresolved.length > 0 ? fails(reasonOf(unresolved), text(unresolved)) : holds(REASON.resolvedRefs),
    conflicted: lost.length > 0 ? holds(REASON.conflicted, text(lost)) : fails(REASON.conflicted),
    partiallyInvalid: partly.length > 0 ? holds(reasonOf(partly), text(partly)) : fails(REASON.accepted),
  };
}

function topicOf({ reason, message, severity }: Diagnostic): Topic {
  if (message.startsWith("Fall Back:") || message.startsWith("Dropped:")) return "partiallyInvalid";
  return TOPICS[reason] ?? (severity === "error" ? "accepted" : "remark");
}

function reasonOf(said: readonly Said[]): string {
  return said[0]?.diagnostic.reason ?? REASON.invalid;
}

/** "field: what and mend", joined; what every transport says is said once. */
function sentences(said: readonly Said[], attached: number): string {
  const sayers = new Map<string, string[]>();
  for (const { diagnostic, transport } of said) {
    const text = sentence(diagnostic);
    const names = sayers.get(text) ?? [];
    if (transport !== undefined) names.push(transport);
    sayers.set(text, names);
  }
  const all = [...sayers].map(([text, names]) => {
    const isCommon = names.length === 0 || names.length >= attached;
    return isCommon ? text : `${names.join(", ")}: ${text}`;
  });
  const rest = all.length - MAX_NAMED;
  return [...all.slice(0, MAX_NAMED), ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
}

function sentence({ path, message }: Diagnostic): string {
  return path === "" ? message : `${path}: ${message}`;
}
