/** host:port as an option of the command line has it. */
import { UsageError } from "./usage.ts";

/** "127.0.0.1:9090", "[::1]:9090" or ":9090". Throws on anything else. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65_535)
    throw new UsageError(`Cannot read "${text}": write host:port such as 127.0.0.1:9090`);
  return { host: found[1] ?? (found[2] || "0.0.0.0"), port };
}
