/** Text facts: what is known of texts: which words they hold, whether a pattern matches; each found out once. */
import type { Pattern } from "../../mail/pattern.ts";
import type { ScanResult, WordScan } from "./word-scan.ts";

/** Texts are composed (NFC). */
export interface TextFacts {
  scan(text: string): ScanResult;
  /** The matched text, or undefined. */
  match(pattern: Pattern, text: string): string | undefined;
}

interface Known {
  scan: ScanResult | undefined;
  matches: Map<Pattern, string | undefined> | undefined;
}

export function createTextFacts(wordScan: WordScan): TextFacts {
  const texts = new Map<string, Known>();
  const knownOf = (text: string): Known => {
    let known = texts.get(text);
    if (known === undefined) {
      known = { scan: undefined, matches: undefined };
      texts.set(text, known);
    }
    return known;
  };
  return {
    scan(text) {
      const known = knownOf(text);
      known.scan ??= wordScan.scan(text);
      return known.scan;
    },
    match(pattern, text) {
      const known = knownOf(text);
      known.matches ??= new Map();
      if (known.matches.has(pattern)) return known.matches.get(pattern);
      const evidence = pattern.test(text);
      known.matches.set(pattern, evidence);
      return evidence;
    },
  };
}
