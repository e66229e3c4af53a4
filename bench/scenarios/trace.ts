/** Calls of a process and all its threads, as `strace -f -yy -o FILE` writes them: which began and ended before which. Pure. */

export interface Call {
  readonly name: string;
  /** As strace writes them, descriptors with their paths. */
  readonly words: string;
  /** Places in the order of all events. `returned`: infinite when it never did. */
  readonly entered: number;
  readonly returned: number;
  /** -1: it failed. */
  readonly result: number;
}

export function parseTrace(text: string): Call[] {
  const calls: Call[] = [];
  /** Thread -> where its call stands that has not returned. */
  const underWay = new Map<string, number>();
  for (const [at, line] of text.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const index = underWay.get(thread) ?? -1;
    const open = calls[index];
    if (open !== undefined && /^<\.\.\. \w+ resumed>/.test(rest)) {
      underWay.delete(thread);
      calls[index] = { ...open, returned: at, result: resultOf(rest) };
    }
    const call = begunCall(rest, at);
    if (call === undefined) continue;
    if (call.returned > at) underWay.set(thread, calls.length);
    calls.push(call);
  }
  return calls;
}

function begunCall(rest: string, at: number): Call | undefined {
  const open = rest.indexOf("(");
  const name = rest.slice(0, Math.max(0, open));
  if (!/^\w+$/.test(name)) return undefined;
  const isWhole = !rest.endsWith("<unfinished ...>");
  return {
    name,
    words: rest.slice(open + 1),
    entered: at,
    returned: isWhole ? at : Number.POSITIVE_INFINITY,
    result: isWhole ? resultOf(rest) : -1,
  };
}

/** What stands after the last `= `. */
function resultOf(rest: string): number {
  const [, value] = /\) += (-?\d+)[^"]*$/.exec(rest) ?? [];
  return value === undefined ? -1 : Number(value);
}

/** Path of the regular file or folder behind the first descriptor. */
export function fileOf({ words }: Call): string | undefined {
  return /^\d+<(\/[^<>]*)>/.exec(words)?.[1];
}

/** Port of the other side of the connection behind the first descriptor. */
export function peerPortOf({ words }: Call): number | undefined {
  const [, port] = /^\d+<TCP(?:v6)?:\[[^\]]*?->.*?:(\d+)\]>/.exec(words) ?? [];
  return port === undefined ? undefined : Number(port);
}
