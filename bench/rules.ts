/**
 * Cost of transport rules for each message: 10, 100, 1,000 and 10,000 rules of mixed kinds, of which 10 match.
 *
 * `node bench/rules.ts` prints CPU microseconds a message as a table: the rules of the whole pipeline
 * (pipeline-manifests.ts) in the order of the manifests, on mail of three sizes, as the categorizer applies them; and with
 * every rule tried (explain). The goal: cost follows the rules that match, so the last row is near the first.
 *
 * @module
 */
import { parseManifests } from "../crds/mod.ts";
import { createDomainTable } from "../snapshot/domain-table.ts";
import { compileSnapshot } from "../snapshot/mod.ts";
import { type MailOptions, mail } from "../test/helpers/rules.ts";
import { compileRules, type PolicyInput, type RuleSet } from "../transport/policy/mod.ts";
import { pipelineManifests } from "./pipeline-manifests.ts";

const SIZES = [10, 100, 1_000, 10_000];
const TEXT_SIZES = [1_000, 4_000, 64_000];
const MATCHING = 10;
const ROUNDS = 5;
const ROUND_MS = 300;
const VOCABULARY =
  "the quick brown fox jumps over a lazy dog while we discuss the budget of next quarter".split(" ");

function buildRules(size: number): RuleSet {
  const text = pipelineManifests({ port: 25, nextHopPort: 25, rules: size, matching: MATCHING });
  const { resources, faults } = parseManifests([{ path: "bench.yaml", text }]);
  const { snapshot } = compileSnapshot({ resources: resources.map(({ resource }) => resource) });
  if (faults.length > 0 || snapshot === undefined) throw new Error("The manifests have faults");
  return compileRules(snapshot.rules, { domains: createDomainTable(snapshot.acceptedDomains) });
}

/** Mail as the load of the pipeline sends it, with other words in each. */
function buildMail(characters: number): PolicyInput[] {
  return Array.from({ length: 32 }, (_, seed) => {
    const words: string[] = [];
    for (let n = seed, length = 0; length < characters; n = (n * 31 + 7) % 1009) {
      const word = VOCABULARY[n % VOCABULARY.length] ?? "";
      words.push(word);
      length += word.length + 1;
    }
    const options: MailOptions = {
      sender: "load@source.example",
      to: ["ann@contoso.example"],
      header: `From: <load@source.example>\nTo: <ann@contoso.example>\nSubject: ${words.slice(0, 5).join(" ")}\nMessage-Id: <${seed}@source.example>\n`,
      size: characters,
      origin: { clientAddress: "127.0.0.1" },
      mime: { text: words.join(" ") },
      now: Date.UTC(2026, 0),
    };
    return mail(options);
  });
}

/** CPU microseconds a message: the least of the rounds, after one to warm up. */
function measure(rules: RuleSet, messages: readonly PolicyInput[], explain: boolean): number {
  const decisions = messages.map((message) => rules.apply(message, { explain }));
  const matched = decisions.map(({ trace }) => trace.filter(({ outcome }) => outcome === "matched").length);
  if (matched.some((count) => count !== MATCHING))
    throw new Error(`${matched} rules matched, not ${MATCHING}`);
  const rounds = Array.from({ length: ROUNDS + 1 }, () => runRound(rules, messages, explain));
  return Math.min(...rounds.slice(1));
}

function runRound(rules: RuleSet, messages: readonly PolicyInput[], explain: boolean): number {
  const start = process.cpuUsage();
  let count = 0;
  for (const end = performance.now() + ROUND_MS; count === 0 || performance.now() < end; ) {
    for (const message of messages) rules.apply(message, { explain });
    count += messages.length;
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

const sizes = TEXT_SIZES.map((characters) => `${characters / 1000} KB`);
const columns = ["rules", ...sizes, "4 KB, every rule tried"];
console.log(`| ${columns.join(" | ")} |\n|${"---|".repeat(columns.length)}`);
for (const size of SIZES) {
  const rules = buildRules(size);
  const indexed = TEXT_SIZES.map((characters) => measure(rules, buildMail(characters), false));
  const tried = measure(rules, buildMail(4_000), true);
  console.log(
    `| ${[size, ...[...indexed, tried].map((microseconds) => microseconds.toFixed(0))].join(" | ")} |`,
  );
}
