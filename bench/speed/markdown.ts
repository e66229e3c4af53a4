/** Markdown of data. Pure. */

/** Rows below a header; a bar in a cell stays in the cell. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)].join("\n");
}

/** 1,234 */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
