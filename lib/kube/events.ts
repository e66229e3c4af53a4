import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import type { KubeHttp } from "./types.ts";

export interface EventRecorderOptions {
  readonly http: KubeHttp;
  readonly clock: Clock;
  readonly log: Logger;
  /** reportingController, e.g. "postroom.dev/operator". */
  readonly reporter: string;
  /** reportingInstance: the Pod. */
  readonly instance: string;
}

export interface EventNote {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string | undefined;
  };
  readonly type: "Normal" | "Warning";
  /** CamelCase, at most 128 characters. */
  readonly reason: string;
  /** What was done or tried, CamelCase. */
  readonly action: string;
  /** For people; cut at 1,024 octets. */
  readonly note: string;
}

export interface EventRecorder {
  /** Writes the event, later; never throws. */
  record(event: EventNote): void;
  /** Resolves when what was recorded is written or given up. */
  idle(): Promise<void>;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  throw new Error(`Cannot record as "${options.reporter}"`);
}
