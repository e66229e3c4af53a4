/**
 * Status of a child and of a MailTransport, from facts. Pure; a status that says nothing new is the very same value.
 *
 * Ready is the summary: True when every positive condition is and the object lost nothing, else what fails first, or
 * Unknown while work is under way. docs/decisions/0092.
 *
 * @module
 */
import { CONDITION, REASON } from "../crds/mod.ts";
import {
  fails,
  firstUnfit,
  holds,
  makeConditions,
  pends,
  summarize,
  unlessEqual,
  type Verdict,
} from "./status-condition.ts";
import { judgeDiagnostics, type Said } from "./status-diagnostics.ts";
import type { ChildFacts, HeldObject, ProgrammedFacts, ResourceStatus } from "./types.ts";

export { transportStatus } from "./status-transport.ts";

export function childStatus({ object, transports, diagnostics, now }: ChildFacts): ResourceStatus {
  const attached = transports.length;
  const said: Said[] = [
    ...[...object.faults, ...diagnostics].map((diagnostic) => ({ diagnostic, transport: undefined })),
    ...transports.flatMap(({ name, diagnostics: own }) =>
      own.map((diagnostic) => ({ diagnostic, transport: name })),
    ),
  ];
  const { accepted, resolvedRefs, conflicted, partiallyInvalid } = judgeDiagnostics(said, attached);
  const programmed = isDisabled(object)
    ? fails(REASON.disabled, DISABLED)
    : programmedIn(transports, accepted);
  const generation = object.metadata.generation ?? 0;
  const summary = isDisabled(object)
    ? readyDisabled(accepted)
    : summarize([accepted, resolvedRefs, lostPart(conflicted), programmed]);
  const conditions = makeConditions(
    [
      [CONDITION.accepted, accepted],
      [CONDITION.resolvedRefs, resolvedRefs],
      [CONDITION.programmed, programmed],
      [CONDITION.ready, summary],
      [CONDITION.conflicted, conflicted],
      [CONDITION.partiallyInvalid, partiallyInvalid],
    ],
    { generation, before: object.status?.conditions, now },
  );
  const names = transports.map(({ name }) => name).sort();
  return unlessEqual(object.status, { observedGeneration: generation, conditions, transports: names });
}

const DISABLED = "spec.enabled is false";

function isDisabled({ resource }: HeldObject): boolean {
  return resource !== undefined && resource.kind !== "MailTransport" && !resource.spec.enabled;
}

/** As its owner wants it: `kubectl wait` for a whole folder must end. */
function readyDisabled(accepted: Verdict): Verdict {
  return accepted.status === "True" ? holds(REASON.disabled, DISABLED) : accepted;
}

/** A claim that was lost is something that was asked for and is not in force. */
function lostPart(conflicted: Verdict): Verdict {
  return conflicted.status === "True" ? fails(conflicted.reason, conflicted.message) : holds(REASON.accepted);
}

function programmedIn(transports: ChildFacts["transports"], accepted: Verdict): Verdict {
  if (transports.length === 0) {
    return accepted.status === "True"
      ? pends(REASON.pending)
      : fails(accepted.reason, "It is in force nowhere");
  }
  const verdicts = transports.map(({ name, programmed }) =>
    verdictOf(programmed, transports.length > 1 ? `${name}: ` : ""),
  );
  return firstUnfit(verdicts) ?? holds(REASON.programmed);
}

function verdictOf(facts: ProgrammedFacts, prefix: string): Verdict {
  if (facts.status === "True") return holds(REASON.programmed);
  return { ...facts, message: `${prefix}${facts.message}` };
}
