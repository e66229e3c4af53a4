/**
 * Attachment filter: acts on attachments by name, and by declared or sniffed type, at the end of data.
 *
 * A message too complex to be read as a whole cannot be judged: it is refused, or kept where the action is Quarantine.
 *
 * @module
 */
import { whenDone } from "../../lib/when-done.ts";
import type { MimePart, MimeSummary } from "../../mail/mime.ts";
import { reply } from "../../mail/reply.ts";
import type { Agent, AgentContent, SettingsOf, Verdict } from "./agent.ts";
import { compileGlob } from "./glob.ts";

type Settings = SettingsOf<"attachmentFilter">;
interface Entry {
  readonly type: Settings["entries"][number]["type"];
  readonly pattern: string;
  readonly matches: (text: string) => boolean;
}

interface Hit {
  readonly part: MimePart;
  readonly entry: Entry;
}

/** No file system takes longer names; the end, where the extension is, is kept. */
const MAX_NAME = 255;
const TOO_COMPLEX = "Message is too complex to inspect its attachments";

export const attachmentFilter: Agent<Settings> = {
  key: "attachmentFilter",
  name: "Attachment Filtering Agent",
  antispam: true,
  create(settings) {
    const entries = settings.entries.map((entry) => ({ ...entry, matches: compileGlob(entry.pattern) }));
    if (entries.length === 0) return {};
    return {
      onEndOfData: (content) =>
        whenDone<MimeSummary, Verdict>(content.mime(), ({ parts, tooComplex }) => {
          if (tooComplex) return refuseComplex(settings);
          const hits = parts.flatMap((part) => hitOf(part, entries) ?? []);
          return hits.length === 0 ? undefined : act(settings, hits, content);
        }),
    };
  },
};

/** The name as a desktop would use it: no folder, no trailing dots or spaces, no invisible characters. */
export function effectiveName(fileName: string): string {
  const visible = fileName.replace(/[\p{Cc}\p{Cf}]/gu, "");
  const name = visible.slice(Math.max(visible.lastIndexOf("/"), visible.lastIndexOf("\\")) + 1);
  // A loop: /[. ]+$/ takes quadratic time on a long name of dots that ends in something else.
  let end = name.length;
  while (end > 0 && (name[end - 1] === "." || name[end - 1] === " ")) end -= 1;
  return name.slice(Math.max(0, end - MAX_NAME), end);
}

function hitOf(part: MimePart, entries: readonly Entry[]): Hit | undefined {
  const name = part.fileName === undefined ? undefined : effectiveName(part.fileName);
  const entry = entries.find((candidate) => isHit(part, name, candidate));
  return entry && { part, entry };
}

function isHit(part: MimePart, name: string | undefined, { type, matches }: Entry): boolean {
  if (type === "FileName") return name !== undefined && matches(name);
  // Declared types are judged on attachments only: "text/html" must not hit the text. What the octets say counts anywhere.
  return (
    (part.attachment && matches(part.contentType)) ||
    (part.sniffedType !== undefined && matches(part.sniffedType))
  );
}

async function act(settings: Settings, hits: readonly Hit[], content: AgentContent): Promise<Verdict> {
  const reason = hits.map(describe).join(", ").slice(0, 400);
  switch (settings.action) {
    case "Reject":
      return { action: "reject", reply: reply(550, "5.7.1", settings.rejectResponse) };
    case "SilentDelete":
      return { action: "drop", reason };
    case "Quarantine":
      return { action: "quarantine", reason };
    case "Strip":
      await content.stripAttachments(
        hits.map(({ part }) => part.path),
        "This attachment was removed because attachments of its kind are not allowed.",
      );
      return undefined;
  }
}

function describe({ part, entry }: Hit): string {
  const name = part.fileName === undefined ? `part ${part.path}` : effectiveName(part.fileName).slice(0, 80);
  return `attachment "${name}" matches ${entry.pattern}`;
}

function refuseComplex({ action }: Settings): Verdict {
  if (action === "Quarantine") return { action: "quarantine", reason: TOO_COMPLEX };
  return { action: "reject", reply: reply(554, "5.6.0", TOO_COMPLEX) };
}
