/** Diagnostic: one fault of one object, with the path of its field and the mend. Compile steps list them all. */

export interface Diagnostic {
  /** kind/namespace/name, e.g. "TransportRule/default/no-executables". */
  readonly object: string;
  /** Dotted path: "spec.conditions.subjectMatchesPatterns[0]"; "" for the object as a whole. */
  readonly path: string;
  /** CamelCase reason as a condition carries it, e.g. "Invalid", "Conflicted", "SecretNotFound". */
  readonly reason: string;
  /** What is wrong and how to mend it, one sentence, no final period. */
  readonly message: string;
  /** "error": the object (or its new form) is not in force. "warning": it is. */
  readonly severity: "error" | "warning";
}

export type Compiled<T> =
  | { readonly ok: true; readonly value: T; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };
