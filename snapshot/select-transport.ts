/** Finds the MailTransport that a snapshot is compiled for, or its last good form. Pure. */
import { type AnyResource, type MailTransport, qualifiedName } from "../crds/mod.ts";
import type { Compiled, Diagnostic } from "../lib/diagnostics.ts";
import { fallBack, type LastGoodInput } from "./last-good.ts";
import { byName } from "./precedence.ts";
import type { TransportEntry } from "./schema.ts";

const EXAMPLE =
  "apiVersion: postroom.dev/v1alpha1, kind: MailTransport, metadata: {name: hub}, spec: {hostname: mx.contoso.example}";

export interface WantedTransport {
  /** namespace/name, or a name in namespace default; undefined: the previous one, or the only one there is. */
  readonly wanted: string | undefined;
  compile(resource: MailTransport): TransportEntry;
}

export function selectTransport(
  resources: readonly AnyResource[],
  { wanted, compile }: WantedTransport,
  lastGood: LastGoodInput,
): Compiled<TransportEntry> {
  const transports = resources.filter(
    (resource): resource is MailTransport => resource.kind === "MailTransport",
  );
  const named = transports.map((resource) => ({ name: qualifiedName(resource), resource })).sort(byName);
  const previous = lastGood.previous?.transport;
  const held = previous !== undefined && isHeld(previous.name, lastGood);
  const fallback = held || named.some(({ name }) => name === previous?.name) ? previous?.name : undefined;
  const name = wanted === undefined ? (fallback ?? onlyName(named)) : qualify(wanted);
  const found = named.find((one) => one.name === name);
  if (found !== undefined) return { ok: true, value: compile(found.resource), diagnostics: [] };
  if (held && previous.name === name) {
    return { ok: true, value: previous, diagnostics: [fallBack(`MailTransport/${name}`)] };
  }
  return { ok: false, diagnostics: [absent(name, named)] };
}

function isHeld(name: string, { broken, present, incomplete }: LastGoodInput): boolean {
  const object = `MailTransport/${name}`;
  return broken.has(object) || (incomplete && !present().has(object));
}

function onlyName(named: readonly { readonly name: string }[]): string | undefined {
  return named.length === 1 ? named[0]?.name : undefined;
}

function qualify(name: string): string {
  return name.includes("/") ? name : `default/${name}`;
}

function absent(name: string | undefined, named: readonly { readonly name: string }[]): Diagnostic {
  const list = named.map((one) => one.name).join(", ");
  const complain = (reason: string, message: string): Diagnostic => ({
    object: name === undefined ? "MailTransport" : `MailTransport/${name}`,
    path: "",
    reason,
    message,
    severity: "error",
  });
  if (named.length === 0)
    return complain("TransportNotFound", `There is no MailTransport; write one, such as ${EXAMPLE}`);
  if (name === undefined)
    return complain("TransportAmbiguous", `There are several MailTransports, name one of ${list}`);
  return complain("TransportNotFound", `There is no MailTransport ${name}; there is ${list}`);
}
