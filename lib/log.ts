/** The one pino root: JSON lines on stdout; in a terminal readable lines. Secrets are redacted here. */
import pino, { type Logger } from "pino";

export type { Logger } from "pino";

/** Paths that never reach a line, wherever they stand in the fields. */
const REDACT = [
  "password",
  "*.password",
  "secret",
  "*.secret",
  "credentials",
  "*.credentials",
  "body",
  "*.body",
];

export interface LogOptions {
  readonly level: string;
  /** Readable lines instead of JSON. */
  readonly pretty: boolean;
}

/** Makes the root logger. Ask it for children: `root.child({ room: "delivery" })`. */
export function createLog({ level, pretty }: LogOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACT, censor: "[redacted]" },
  };
  if (!pretty) return pino(options, pino.destination({ dest: 1, sync: true }));
  return pino(options, { write: (line: string) => process.stdout.write(`${readable(line)}\n`) });
}

const COLORS: Readonly<Record<string, string>> = {
  warn: "\u001b[33m",
  error: "\u001b[31m",
  fatal: "\u001b[31m",
  debug: "\u001b[2m",
};

/** One JSON line as a person reads it: time, room, message, then the fields. */
export function readable(line: string): string {
  const { time, level, room, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const rest = Object.entries(fields)
    .map(
      ([key, value]) =>
        `${key}=${typeof value === "string" && !/\s/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join(" ");
  const label = room === undefined ? "" : `${String(room).padEnd(9)} `;
  const mark = level === "info" ? "" : `${String(level).toUpperCase()} `;
  return `${COLORS[String(level)] ?? ""}${clock} ${label}${mark}${msg}${rest ? `  ${rest}` : ""}\u001b[0m`;
}
