/** TransportRule to RuleEntry: dates in ms, connectors resolved to namespace/name. Pure. */
import { qualifiedName, type TransportRule } from "../crds/mod.ts";
import type { Compiled, Diagnostic } from "../lib/diagnostics.ts";
import { timeOf } from "./precedence.ts";
import type { RuleEntry } from "./schema.ts";

/** namespace/name of the connectors in force. */
export interface KnownConnectors {
  readonly receive: ReadonlySet<string>;
  readonly send: ReadonlySet<string>;
}

export function compileRule(resource: TransportRule, known: KnownConnectors): Compiled<RuleEntry> {
  const { transportRefs, enabled, activationDate, expiryDate, actions, ...rest } = resource.spec;
  const diagnostics = checkReceiveConnectors(resource, known.receive);
  const wanted = actions.routeMessageOutboundConnector;
  const connector = wanted && resolveName(wanted, resource, known.send);
  if (wanted !== undefined && connector === undefined) {
    const message = `there is no SendConnector "${wanted}" in force on this transport`;
    diagnostics.push(notFound(resource, "spec.actions.routeMessageOutboundConnector", message, "error"));
    return { ok: false, diagnostics };
  }
  const value: RuleEntry = {
    ...rest,
    name: qualifiedName(resource),
    createdAt: timeOf(resource.metadata.creationTimestamp),
    conditions: rest.conditions,
    exceptions: rest.exceptions,
    activationDate: toTime(activationDate),
    expiryDate: toTime(expiryDate),
    actions: connector === undefined ? actions : { ...actions, routeMessageOutboundConnector: connector },
  };
  return { ok: true, value, diagnostics };
}

/** False: its entry depends on the rule alone. */
export function namesConnectors({ spec }: TransportRule): boolean {
  if (spec.actions.routeMessageOutboundConnector !== undefined) return true;
  return [spec.conditions, spec.exceptions].some(
    (fields) =>
      fields?.receiveConnectorIs !== undefined ||
      fields?.anyOf?.some(({ receiveConnectorIs }) => receiveConnectorIs !== undefined),
  );
}

/** A receive connector that does not exist is no fault: the predicate simply does not hold. But it is likely a slip. */
function checkReceiveConnectors(resource: TransportRule, known: ReadonlySet<string>): Diagnostic[] {
  const { conditions, exceptions } = resource.spec;
  const diagnostics: Diagnostic[] = [];
  const look = (path: string, names: readonly string[] | undefined) => {
    for (const [index, name] of (names ?? []).entries()) {
      if (resolveName(name, resource, known) !== undefined) continue;
      const message = `there is no ReceiveConnector "${name}" in force on this transport`;
      diagnostics.push(notFound(resource, `${path}[${index}]`, message, "warning"));
    }
  };
  for (const [part, fields] of Object.entries({ conditions, exceptions })) {
    look(`spec.${part}.receiveConnectorIs`, fields?.receiveConnectorIs);
    for (const [index, alternative] of (fields?.anyOf ?? []).entries()) {
      look(`spec.${part}.anyOf[${index}].receiveConnectorIs`, alternative.receiveConnectorIs);
    }
  }
  return diagnostics;
}

/** A bare name is sought in the rule's own namespace. */
function resolveName(
  name: string,
  { metadata }: TransportRule,
  known: ReadonlySet<string>,
): string | undefined {
  const qualified = name.includes("/") ? name : `${metadata.namespace}/${name}`;
  return known.has(qualified) ? qualified : undefined;
}

function notFound(
  resource: TransportRule,
  path: string,
  message: string,
  severity: Diagnostic["severity"],
): Diagnostic {
  const object = `TransportRule/${qualifiedName(resource)}`;
  return { object, path, reason: "ConnectorNotFound", message, severity };
}

function toTime(date: string | undefined): number | undefined {
  return date === undefined ? undefined : Date.parse(date);
}
