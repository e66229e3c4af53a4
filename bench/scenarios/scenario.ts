/**
 * A special scenario of the speed bench: one question about a relay that a table of rates does not answer.
 *
 * Each is a file of its own that exports one Scenario; main.ts runs those asked for and writes what they found.
 */
import type { Ground } from "./ground.ts";

export interface Scenario {
  /** As on the command line. */
  readonly name: string;
  readonly title: string;
  /** How it measures and how to read its tables; Markdown. */
  readonly reading: string;
  run(ground: Ground): Promise<Findings>;
}

export interface Findings {
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** Figures of single runs, for who wants to make other tables of them. */
  readonly raw: unknown;
  /** What could not be measured and why, and what the figures lead to. */
  readonly notes?: readonly string[];
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: string;
  /** Undefined: could not be measured. */
  readonly isMet: boolean | undefined;
}
