/** Types by content: what the first octets of a file say it is, whatever it is called. Pure. */

/** Octets that sniffType() looks at from the start, and the place where a CD image is known by. */
export const SNIFF_WINDOW = 512;
const ISO_MARK = 0x8001;
const ISO_MARK_LENGTH = 5;

/** Collects what sniffing needs from a stream of octets; nothing else is kept. */
export class SniffWindow {
  /** Octets as latin1. */
  #start = "";
  /** Most parts end before it. */
  #isoMark: Buffer | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  write(octets: Uint8Array): void {
    const missing = SNIFF_WINDOW - this.#start.length;
    if (missing > 0) this.#start += latin1(octets, missing);
    if (this.#size + octets.length > ISO_MARK) {
      this.#isoMark ??= Buffer.alloc(ISO_MARK_LENGTH);
      this.#copy(octets, this.#isoMark, ISO_MARK);
    }
    this.#size += octets.length;
  }

  type(): string | undefined {
    if (this.#isoMark?.toString("latin1") === "CD001") return "application/x-iso9660-image";
    return typeOfText(this.#start);
  }

  /** Copies what falls into a window of the stream that begins at `from`. */
  #copy(octets: Uint8Array, window: Buffer, from: number): void {
    const skip = Math.max(0, from - this.#size);
    const at = this.#size + skip - from;
    if (at < window.length && skip < octets.length) {
      window.set(octets.subarray(skip, skip + window.length - at), at);
    }
  }
}

/** Media type by the first octets, at most 512; undefined when they are not known. */
export function sniffType(start: Uint8Array): string | undefined {
  return typeOfText(latin1(start, start.length));
}

function latin1({ buffer, byteOffset, length }: Uint8Array, most: number): string {
  return Buffer.from(buffer, byteOffset, Math.min(length, most)).toString("latin1");
}

function typeOfText(text: string): string | undefined {
  const marks = FIRST_OCTETS.has(text.charCodeAt(0)) ? MAGIC : LATER_MAGIC;
  for (const [type, offset, magic] of marks) {
    if (text.startsWith(magic, offset)) return type;
  }
  if (isMz(text)) return "application/x-msdownload";
  // A marker before the text changes nothing for an interpreter or a browser.
  const body = text.replace(/^\xef\xbb\xbf/, "");
  if (/^#![ \t]*\//.test(body)) return "text/x-shellscript";
  if (/^[ \t\r\n]*<(?:!doctype html|html|script|body|iframe)\b/i.test(body)) return "text/html";
  return /^-lh.-/s.test(text.slice(2, 7)) ? "application/x-lzh-compressed" : undefined;
}

/** Programs and scripts that run when opened (Exchange's AttachmentHasExecutableContent). */
export function isExecutableType(type: string): boolean {
  return EXECUTABLE.has(type.toLowerCase());
}

/** Type, offset, octets. Longer and rarer marks come first. */
const MAGIC: readonly (readonly [string, number, string])[] = [
  ["application/x-ole-storage", 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
  ["application/onenote", 0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"],
  ["application/x-ms-shortcut", 0, "L\0\0\0\x01\x14\x02\0"],
  ["application/vnd.ms-tnef", 0, "\x78\x9f\x3e\x22"],
  ["application/vnd.ms-cab-compressed", 0, "MSCF"],
  ["application/vnd.ms-htmlhelp", 0, "ITSF"],
  ["application/x-virtualbox-vhd", 0, "conectix"],
  ["application/x-virtualbox-vhdx", 0, "vhdxfile"],
  ["application/x-executable", 0, "\x7fELF"],
  ["application/x-mach-binary", 0, "\xfe\xed\xfa\xce"],
  ["application/x-mach-binary", 0, "\xfe\xed\xfa\xcf"],
  ["application/x-mach-binary", 0, "\xce\xfa\xed\xfe"],
  ["application/x-mach-binary", 0, "\xcf\xfa\xed\xfe"],
  // Java classes and fat Mach-O share this mark; both are programs.
  ["application/java-vm", 0, "\xca\xfe\xba\xbe"],
  ["application/vnd.android.dex", 0, "dex\n"],
  ["application/wasm", 0, "\0asm"],
  ["application/x-shockwave-flash", 0, "FWS"],
  ["application/x-shockwave-flash", 0, "CWS"],
  ["application/zip", 0, "PK\x03\x04"],
  ["application/zip", 0, "PK\x05\x06"],
  ["application/x-7z-compressed", 0, "7z\xbc\xaf\x27\x1c"],
  ["application/vnd.rar", 0, "Rar!\x1a\x07"],
  ["application/gzip", 0, "\x1f\x8b"],
  ["application/x-bzip2", 0, "BZh"],
  ["application/x-xz", 0, "\xfd7zXZ\0"],
  ["application/zstd", 0, "\x28\xb5\x2f\xfd"],
  ["application/x-ace-compressed", 7, "**ACE**"],
  ["application/x-arj", 0, "\x60\xea"],
  ["application/x-tar", 257, "ustar"],
  ["application/pdf", 0, "%PDF-"],
  ["application/rtf", 0, "{\\rt"],
  ["application/postscript", 0, "%!PS"],
  ["image/png", 0, "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", 0, "\xff\xd8\xff"],
  ["image/gif", 0, "GIF8"],
  ["image/tiff", 0, "II*\0"],
  ["image/tiff", 0, "MM\0*"],
  ["image/webp", 8, "WEBP"],
];

/** Octets that a mark at the start begins with: most text begins with another. */
const FIRST_OCTETS: ReadonlySet<number> = new Set(
  MAGIC.filter(([, offset]) => offset === 0).map(([, , magic]) => magic.charCodeAt(0)),
);

const LATER_MAGIC = MAGIC.filter(([, offset]) => offset > 0);

const EXECUTABLE: ReadonlySet<string> = new Set([
  "application/x-msdownload",
  "application/x-msdos-program",
  "application/x-dosexec",
  "application/vnd.microsoft.portable-executable",
  "application/x-msi",
  "application/x-ms-installer",
  "application/x-ms-shortcut",
  "application/x-executable",
  "application/x-elf",
  "application/x-sharedlib",
  "application/x-mach-binary",
  "application/java-vm",
  "application/java-archive",
  "application/x-java-archive",
  "application/vnd.android.dex",
  "application/vnd.android.package-archive",
  "application/hta",
  "application/javascript",
  "application/x-javascript",
  "text/javascript",
  "text/vbscript",
  "text/x-shellscript",
  "application/x-sh",
  "application/x-csh",
  "application/x-bat",
  "application/x-powershell",
]);

/** "MZ" and a header behind it: a letter may begin with these two letters too. */
function isMz(text: string): boolean {
  return (text.startsWith("MZ") || text.startsWith("ZM")) && text.slice(2, 64).includes("\0");
}
