/** Output: a table for people, JSON for programs. */

export type OutputFormat = "table" | "json";

/** Prints rows as aligned columns, headed by their keys in capitals; or as JSON. */
export function printRows(rows: readonly object[], format: OutputFormat): void {
  process.stdout.write(format === "json" ? `${JSON.stringify(rows, null, 2)}\n` : formatTable(rows));
}

/** The table as text; "No rows" when there are none. */
export function formatTable(rows: readonly object[]): string {
  const [first] = rows;
  if (first === undefined) return "Nothing found\n";
  const columns = Object.keys(first);
  const cells = rows.map((row) =>
    columns.map((column) => cell((row as Readonly<Record<string, unknown>>)[column])),
  );
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((text, index) => text.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd();
  return `${[line(columns.map((column) => column.toUpperCase())), ...cells.map(line)].join("\n")}\n`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.join(",");
  return String(value).replace(/[\u0000-\u001f\u007f]/g, " ");
}
