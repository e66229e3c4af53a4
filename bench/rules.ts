/**
 * Cost of transport rules for each message: 10, 100, 1,000 and 10,000 rules of mixed kinds, of which 10 match.
 *
 * `node bench/rules.ts` prints a table: indexed, and every rule tried (explain). The goal: cost follows the rules that
 * match, so the last column of "indexed" is near the first.
 *
 * @module
 */
import { domains, type MailOptions, mail, part, rule } from "../test/helpers/rules.ts";
import { compileRules, type PolicyInput, type RuleSet } from "../transport/policy/mod.ts";
import { missCondition } from "./rule-shapes.ts";

const SIZES = [10, 100, 1_000, 10_000];
const VOCABULARY =
  "the quick brown fox jumps over a lazy dog while we discuss the budget of next quarter".split(" ");

function buildRules(size: number): RuleSet {
  const matching = Array.from({ length: 10 }, (_, n) =>
    rule({
      name: `hit${n}`,
      conditions: { senderDomainIs: ["fabrikam.example"] },
      actions: { setScl: n % 10 },
    }),
  );
  const others = Array.from({ length: size - 10 }, (_, n) =>
    rule({ name: `miss${n}`, conditions: missCondition(n), actions: { setScl: 1 } }),
  );
  return compileRules([...matching, ...others], { domains });
}

function buildMail(characters: number): PolicyInput[] {
  return Array.from({ length: 32 }, (_, seed) => {
    const words: string[] = [];
    for (let n = seed, length = 0; length < characters; n = (n * 31 + 7) % 1009) {
      const word = VOCABULARY[n % VOCABULARY.length] ?? "";
      words.push(word);
      length += word.length + 1;
    }
    const options: MailOptions = {
      to: ["ann@contoso.example", "eve@outside.example"],
      mime: {
        text: words.join(" "),
        parts: [part({ fileName: "report.pdf", contentType: "application/pdf" })],
      },
    };
    return mail(options);
  });
}

/** Microseconds a message: the median of the rounds of a third of a second, after as long a warm-up. */
function measure(rules: RuleSet, messages: readonly PolicyInput[], explain: boolean): number {
  runRounds(rules, messages, explain);
  const times = runRounds(rules, messages, explain);
  return times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
}

function runRounds(rules: RuleSet, messages: readonly PolicyInput[], explain: boolean): number[] {
  const times: number[] = [];
  for (const end = performance.now() + 333; times.length === 0 || performance.now() < end; ) {
    const start = performance.now();
    for (const message of messages) rules.apply(message, { explain });
    times.push(((performance.now() - start) * 1000) / messages.length);
  }
  return times;
}

console.log(
  "rules    compile ms   1 KB indexed   4 KB indexed   64 KB indexed   4 KB, every rule tried   (microseconds)",
);
for (const size of SIZES) {
  const start = performance.now();
  const rules = buildRules(size);
  const compileMs = performance.now() - start;
  const cells = [1_000, 4_000, 64_000].map((characters) => measure(rules, buildMail(characters), false));
  const naive = measure(rules, buildMail(4_000), true);
  const [small = 0, usual = 0, large = 0] = cells;
  console.log(
    [
      String(size).padEnd(8),
      compileMs.toFixed(0).padStart(10),
      small.toFixed(0).padStart(14),
      usual.toFixed(0).padStart(14),
      large.toFixed(0).padStart(15),
      naive.toFixed(0).padStart(24),
    ].join(" "),
  );
}
