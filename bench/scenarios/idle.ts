/** Idle connections, held by a process of its own. */
import { startHelper } from "./helper-process.ts";

export interface IdleOptions {
  readonly port: number;
}

export interface IdleConnections {
  /** Opens so many more, politely, and says how many are open. */
  open(more: number): Promise<number>;
  count(): Promise<number>;
  stop(): Promise<void>;
}

export async function startIdle(options: IdleOptions): Promise<IdleConnections> {
  const helper = await startHelper<IdleOptions, { readonly more?: number }, number>(
    "idle-process.ts",
    options,
  );
  return { open: (more) => helper.ask({ more }), count: () => helper.ask({}), stop: () => helper.stop() };
}
