/** The end of a process by signal. */

/** Signals this close together are one. */
const TWINS_MS = 500;

/** Aborted by the first SIGTERM or SIGINT. A second one means: now. */
export function onSignal(first: (signal: NodeJS.Signals) => void): AbortSignal {
  const ending = new AbortController();
  let isImpatient = false;
  const stop = (signal: NodeJS.Signals) => {
    // npm and a terminal both pass the first one on, so twins of it do not count.
    if (isImpatient) process.exit(130);
    if (ending.signal.aborted) return;
    setTimeout(() => {
      isImpatient = true;
    }, TWINS_MS);
    first(signal);
    ending.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return ending.signal;
}
