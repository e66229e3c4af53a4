/**
 * PutInForce: one configuration becomes the one in force, in all shares at once or in none.
 *
 * Whatever can fail comes before the swap. Where a refusal is heard, a socket that cannot be bound or a certificate that
 * does not load refuses the whole; else it is a diagnostic, and the rest is in force.
 *
 * @module
 */
import type { Diagnostic } from "../lib/diagnostics.ts";
import { type Configuration, PassingError, RefusedError } from "./configuration-source.ts";
import type { Share } from "./workers/mod.ts";

/** Faults that refuse the whole, where a refusal is heard: of what is there and does not work. */
const REFUSED = new Set(["BindingFailed", "InvalidCertificate"]);

/** `wholly`: in force whole or not at all. Throws when it cannot be put in force; then nothing has changed. */
export async function putInForce(
  next: Configuration,
  share: Share,
  { wholly }: { readonly wholly: boolean },
): Promise<readonly Diagnostic[]> {
  const prepared = await share.prepare(next);
  const fault = wholly ? faultOf(prepared.diagnostics) : undefined;
  if (fault !== undefined) {
    await prepared.drop();
    throw fault;
  }
  await prepared.take();
  return prepared.diagnostics;
}

/** Why it cannot be in force whole. A machine that lacks something now refuses nothing for good. */
function faultOf(diagnostics: readonly Diagnostic[]): Error | undefined {
  const wordsOf = (some: readonly Diagnostic[]) =>
    some.map(({ object, path, message }) => `${object} ${path}: ${message}`).join("; ");
  const lacking = diagnostics.filter(({ reason }) => reason === "OutOfResources");
  if (lacking.length > 0) return new PassingError(wordsOf(lacking));
  const refused = diagnostics.filter(({ reason }) => REFUSED.has(reason));
  const objects = [...new Set(refused.map(({ object }) => object))];
  return refused.length > 0 ? new RefusedError(wordsOf(refused), { objects }) : undefined;
}
