/**
 * HTML to text, in pieces: what a reader sees, for words to be looked for. Not for display.
 *
 * Tags, comments, scripts and styles go; blocks become line breaks, inline tags nothing ("vi<b>ru</b>s" is a
 * word); white space runs become one space. Any input gives some text; at most one unfinished token is held.
 *
 * @module
 */
type State = "text" | "tag" | "comment" | "raw";

const BLOCK =
  /^\/?(?:p|div|br|hr|tr|td|th|table|li|ul|ol|dl|dt|dd|h[1-6]|blockquote|pre|section|article|header|footer|title|body|html|head|option|center|form)$/;
const RAW = /^(?:script|style)$/;
const LONGEST_ENTITY = 12;
const LONGEST_NAME = 16;

export class HtmlText {
  #state: State = "text";
  #held = "";
  #name = "";
  #nameEnded = false;
  #quote = "";
  #afterEquals = false;
  #raw = "";
  /** White space at the end of what was written: more of it may follow, and all is one. */
  #space = "";
  #hasBegun = false;

  /** Text of this piece of HTML. */
  write(html: string): string {
    return this.#run(this.#held + html, false);
  }

  end(): string {
    return this.#run(this.#held, true);
  }

  #run(html: string, last: boolean): string {
    let text = "";
    let at = 0;
    const emit = (piece: string) => {
      text += piece;
    };
    this.#held = "";
    while (at < html.length) {
      const next = this.#step(html, at, { last, emit });
      if (next < 0) {
        this.#held = last ? "" : html.slice(at);
        break;
      }
      at = next;
    }
    return this.#collapse(text, last);
  }

  /** The place to go on from, or -1: the rest waits for more. */
  #step(html: string, at: number, run: { last: boolean; emit: (text: string) => void }): number {
    if (this.#state === "tag") return this.#tag(html, at, run.emit);
    if (this.#state === "comment") return this.#comment(html, at);
    if (this.#state === "raw") return this.#rawText(html, at);
    if (html[at] === "<") return this.#opening(html, at, run);
    const lt = html.indexOf("<", at);
    const end = lt < 0 ? heldFrom(html, at, run.last) : lt;
    if (end === at) return -1;
    run.emit(decodeEntities(html.slice(at, end).replace(/[ \t\r\n\f]+/g, " ")));
    return end;
  }

  #opening(html: string, at: number, run: { last: boolean; emit: (text: string) => void }): number {
    const start = html.slice(at, at + 4);
    if (start.length < 4 && !run.last && "<!--".startsWith(start)) return -1;
    if (start === "<!--") {
      this.#state = "comment";
      return at + 2; // the two hyphens may be the end's too: <!--> is a whole comment
    }
    if (!/^<[A-Za-z/!?]/.test(start)) {
      run.emit("<");
      return at + 1;
    }
    this.#state = "tag";
    this.#name = "";
    this.#nameEnded = false;
    this.#afterEquals = false;
    return at + 1;
  }

  #tag(html: string, start: number, emit: (text: string) => void): number {
    for (let at = start; at < html.length; at++) {
      const character = html[at] as string;
      if (this.#quote !== "") {
        if (character === this.#quote) this.#quote = "";
      } else if (character === ">") {
        this.#endTag(emit);
        return at + 1;
      } else this.#tagCharacter(character);
    }
    return html.length;
  }

  #tagCharacter(character: string): void {
    // A quote counts after "=" only: elsewhere browsers read it as part of a name, and so must we.
    if (this.#afterEquals && (character === '"' || character === "'")) this.#quote = character;
    const space = /\s/.test(character);
    if (!space) this.#afterEquals = character === "=";
    if (space || (character === "/" && this.#name !== "")) this.#nameEnded = true;
    else if (!this.#nameEnded && this.#name.length < LONGEST_NAME) this.#name += character.toLowerCase();
  }

  #endTag(emit: (text: string) => void): void {
    this.#state = "text";
    if (BLOCK.test(this.#name)) emit("\n");
    if (!RAW.test(this.#name)) return;
    this.#state = "raw";
    this.#raw = `</${this.#name}`;
  }

  #comment(html: string, at: number): number {
    const end = /--!?>/g;
    end.lastIndex = at;
    if (end.exec(html) !== null) {
      this.#state = "text";
      return end.lastIndex;
    }
    return Math.max(at, html.length - 3) === at ? -1 : html.length - 3;
  }

  #rawText(html: string, at: number): number {
    const end = new RegExp(this.#raw, "gi");
    end.lastIndex = at;
    const match = end.exec(html);
    if (match !== null) {
      this.#state = "text";
      return match.index;
    }
    const keep = html.length - this.#raw.length;
    return keep <= at ? -1 : keep;
  }

  #collapse(text: string, last: boolean): string {
    const all = this.#space + text;
    const collapsed = all.replace(/[ \n]+/g, (run) => (run.includes("\n") ? "\n" : " "));
    const trimmed = this.#hasBegun ? collapsed : collapsed.replace(/^[ \n]/, "");
    this.#space = last ? "" : (/[ \n]$/.exec(trimmed)?.[0] ?? "");
    const sure = this.#space === "" ? trimmed : trimmed.slice(0, -1);
    this.#hasBegun ||= sure !== "";
    return sure;
  }
}

/** Character references: numbers, and the names met in mail. Invisible ones vanish. */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,8}));?/g,
    (whole, decimal, hex, name) => {
      if (name !== undefined) return ENTITIES.get(name) ?? whole;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      if (INVISIBLE.has(code)) return "";
      return code === 0 || code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code);
    },
  );
}

/** Where the text may end that is sure: an entity at the very end may go on in the next piece. */
function heldFrom(html: string, at: number, last: boolean): number {
  const ampersand = html.lastIndexOf("&");
  if (last || ampersand < at || html.length - ampersand > LONGEST_ENTITY) return html.length;
  return html.includes(";", ampersand) ? html.length : ampersand;
}

// Soft hyphen, zero-width space, joiners and the byte order mark.
const INVISIBLE: ReadonlySet<number> = new Set([0xad, 0x200b, 0x200c, 0x200d, 0x2060, 0xfeff]);

const ENTITIES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    nbsp: " ",
    shy: "",
    zwnj: "",
    zwj: "",
    ensp: " ",
    emsp: " ",
    thinsp: " ",
    copy: "©",
    reg: "®",
    trade: "™",
    euro: "€",
    pound: "£",
    hellip: "…",
    ndash: "–",
    mdash: "—",
    lsquo: "‘",
    rsquo: "’",
    ldquo: "“",
    rdquo: "”",
    bdquo: "„",
    laquo: "«",
    raquo: "»",
    bull: "•",
    middot: "·",
    auml: "ä",
    ouml: "ö",
    uuml: "ü",
    Auml: "Ä",
    Ouml: "Ö",
    Uuml: "Ü",
    szlig: "ß",
    aring: "å",
    Aring: "Å",
    aelig: "æ",
    AElig: "Æ",
    oslash: "ø",
    Oslash: "Ø",
    agrave: "à",
    aacute: "á",
    acirc: "â",
    atilde: "ã",
    ccedil: "ç",
    egrave: "è",
    eacute: "é",
    ecirc: "ê",
    euml: "ë",
    igrave: "ì",
    iacute: "í",
    icirc: "î",
    ntilde: "ñ",
    ograve: "ò",
    oacute: "ó",
    ocirc: "ô",
    otilde: "õ",
    ugrave: "ù",
    uacute: "ú",
    ucirc: "û",
    Eacute: "É",
    Agrave: "À",
    Ccedil: "Ç",
    Ntilde: "Ñ",
  }),
);
