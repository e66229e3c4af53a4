/**
 * Attachment filter: acts on attachments by name, and by declared or sniffed type, at the end of data.
 *
 * A message too complex to be read as a whole cannot be judged: it is refused, or kept where the action is Quarantine.
 *
 * @module
 */
import type { MimePart } from "../../mail/mime.ts";
import { reply } from "../../mail/reply.ts";
import type { Agent, AgentContent, SettingsOf, Verdict } from "./agent.ts";
import { matchesGlob } from "./glob.ts";

type Settings = SettingsOf<"attachmentFilter">;
type Entry = Settings["entries"][number];

interface Hit {
  readonly part: MimePart;
  readonly entry: Entry;
}

const TOO_COMPLEX = "Message is too complex to inspect its attachments";

export const attachmentFilter: Agent<Settings> = {
  key: "attachmentFilter",
  name: "Attachment Filtering Agent",
  antispam: true,
  create(settings) {
    const { entries } = settings;
    if (entries.length === 0) return {};
    return {
      async onEndOfData(content) {
        const { parts, tooComplex } = await content.mime();
        if (tooComplex) return refuseComplex(settings);
        const hits = parts.flatMap((part) => {
          const entry = entries.find((candidate) => isHit(part, candidate));
          return entry === undefined ? [] : { part, entry };
        });
        return hits.length === 0 ? undefined : act(settings, hits, content);
      },
    };
  },
};

/** The name as a desktop would use it: no folder, no trailing dots or spaces, no invisible characters. */
export function effectiveName(fileName: string): string {
  return fileName
    .replace(/[\p{Cc}\p{Cf}]/gu, "")
    .replace(/^.*[/\\]/s, "")
    .replace(/[. ]+$/, "");
}

function isHit(part: MimePart, { type, pattern }: Entry): boolean {
  if (type === "FileName") {
    return part.fileName !== undefined && matchesGlob(pattern, effectiveName(part.fileName));
  }
  // Declared types are judged on attachments only: "text/html" must not hit the text. What the octets say counts anywhere.
  return (
    (part.attachment && matchesGlob(pattern, part.contentType)) ||
    (part.sniffedType !== undefined && matchesGlob(pattern, part.sniffedType))
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
