/** Delimiter lines of open multiparts (RFC 2046 §5.1.1): which of them a line goes on with, or ends. */

export interface Delimiter {
  /** Index of the multipart among the open containers. */
  readonly depth: number;
  /** `--boundary--`. */
  readonly closing: boolean;
}

/** A line that may be a delimiter: longer ones are content. */
export const MAX_DELIMITER_LINE = 4096;

/** Lines that count, by the boundaries of each open container, outermost first. The innermost wins. */
export function delimiterTable(open: readonly (readonly string[])[]): ReadonlyMap<string, Delimiter> {
  const table = new Map<string, Delimiter>();
  open.forEach((boundaries, depth) => {
    for (const boundary of boundaries) {
      table.set(`--${boundary}--`, { depth, closing: true });
      table.set(`--${boundary}`, { depth, closing: false });
    }
  });
  return table;
}

/** The delimiter that a line of latin1 octets is; white space at its end is transport padding. */
export function matchDelimiter(table: ReadonlyMap<string, Delimiter>, line: string): Delimiter | undefined {
  if (!line.startsWith("--") || line.length > MAX_DELIMITER_LINE) return undefined;
  let end = line.length;
  if (line.charCodeAt(end - 1) === 0x0a) end -= line.charCodeAt(end - 2) === 0x0d ? 2 : 1;
  while (line.charCodeAt(end - 1) === 0x20 || line.charCodeAt(end - 1) === 0x09) end--;
  return table.get(line.slice(0, end));
}
