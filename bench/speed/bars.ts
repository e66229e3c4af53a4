/**
 * A plot of horizontal bars in groups, each bar with its spread, as SVG. Readable on light and dark ground: it asks the
 * viewer which one it is. Each group has a scale of its own, since bars are compared within a group. Pure.
 */

export interface Plot {
  readonly title: string;
  readonly subtitle: string;
  readonly groups: readonly Group[];
}

export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly label: string;
  /** Undefined: there is none; `note` says why. */
  readonly value?: { readonly median: number; readonly least: number; readonly most: number };
  readonly note: string;
  /** Which colour: the first is for what the plot is about. */
  readonly tone: "ours" | "reference" | "other";
}

const WIDTH = 860;
const LABELS = 190;
/** Room for the note right of the longest bar. */
const NOTES = 150;
const BAR = 16;
const GAP = 6;
const HEAD = 74;
const GROUP_HEAD = 26;
const GROUP_GAP = 18;
const PLOT_WIDTH = WIDTH - LABELS - NOTES;

export function barPlot({ title, subtitle, groups }: Plot): string {
  const parts: string[] = [];
  let top = HEAD;
  for (const group of groups) {
    parts.push(drawGroup(group, top));
    top += heightOf(group);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${top}"/>`,
    `<text class="title" x="16" y="30">${escaped(title)}</text>`,
    `<text class="subtitle" x="16" y="52">${escaped(subtitle)}</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function heightOf({ bars }: Group): number {
  return GROUP_HEAD + bars.length * (BAR + GAP) + GROUP_GAP;
}

function drawGroup({ title, bars }: Group, top: number): string {
  const most = Math.max(1e-9, ...bars.map(({ value }) => value?.most ?? 0));
  const rows = bars.map((bar, n) => drawBar(bar, top + GROUP_HEAD + n * (BAR + GAP), PLOT_WIDTH / most));
  const bottom = top + GROUP_HEAD + bars.length * (BAR + GAP) - GAP;
  const axis = `<line class="axis" x1="${LABELS}" x2="${LABELS}" y1="${top + GROUP_HEAD - 3}" y2="${bottom + 3}"/>`;
  return [`<text class="group" x="16" y="${top + 14}">${escaped(title)}</text>`, ...rows, axis].join("\n");
}

/** `scale`: pixels a unit. */
function drawBar({ label, value, note, tone }: Bar, y: number, scale: number): string {
  const middle = y + BAR / 2;
  const text = y + BAR - 4;
  const name = `<text class="label" x="${LABELS - 8}" y="${text}">${escaped(label)}</text>`;
  const at = (x: number) => round(LABELS + x * scale);
  const end = value === undefined ? LABELS : at(value.most);
  const written = `<text class="note" x="${round(end + 8)}" y="${text}">${escaped(note)}</text>`;
  if (value === undefined) return [name, written].join("\n");
  const { median, least, most } = value;
  const spread = `M${at(least)} ${middle}H${at(most)}M${at(least)} ${middle - 4}v8M${at(most)} ${middle - 4}v8`;
  return [
    name,
    `<rect class="${tone}" x="${LABELS}" y="${y}" width="${round(median * scale)}" height="${BAR}" rx="2"/>`,
    `<path class="spread" d="${spread}"/>`,
    written,
  ].join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}

const STYLE = `
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2328}
.title{font-size:17px;font-weight:600}.subtitle,.note{fill:#59636e}.group{font-size:13px;font-weight:600}
.label{text-anchor:end}.ground{fill:#fff}.axis{stroke:#8c959f}
.ours{fill:#1a7f64}.reference{fill:#c2570c}.other{fill:#8c959f}
.spread{stroke:#1f2328;stroke-width:1.4;fill:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.subtitle,.note{fill:#9198a1}.ground{fill:#0d1117}.axis{stroke:#656c76}
.ours{fill:#2fa887}.reference{fill:#e0823d}.other{fill:#656c76}.spread{stroke:#f0f6fc}}
`;
