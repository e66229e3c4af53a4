/**
 * Is the tuned Postfix as fast as it can be? Each variant differs from it in one thing; what is faster by more than the
 * spread belongs into TUNED (test/helpers/postfix.ts). Twelve servers, two cases: 10 minutes.
 *
 * Usage: node bench/speed/tune-postfix.ts [RUNS [SECONDS [PART OF A VARIANT'S NAME]]]
 *
 * @module
 */
import { runBench } from "./bench.ts";
import { casesNamed } from "./cases.ts";
import { type Participant, REFERENCE } from "./peers.ts";
import { postfix } from "./postfix-peer.ts";
import { reportOf } from "./report.ts";

const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  "5 deliveries at once": concurrency(5),
  "20 deliveries at once": concurrency(20),
  "50 deliveries at once": concurrency(50),
  "connections out not kept": [
    "smtp_connection_cache_destinations =",
    "smtp_connection_cache_on_demand = no",
  ],
  "connections out kept on demand": ["smtp_connection_cache_destinations ="],
  "processes serve 100 requests": ["max_use = 100"],
  "senders slowed by deliveries": ["in_flow_delay = 1s"],
  "log by syslog": ["maillog_file ="],
  "queue folders hashed": ["hash_queue_names = incoming, active, deferred, defer"],
  "addresses mapped, MIME read": [
    "receive_override_options =",
    "disable_mime_input_processing = no",
    "disable_mime_output_conversion = no",
  ],
};

function concurrency(count: number): readonly string[] {
  return [`smtp_destination_concurrency_limit = ${count}`, `initial_destination_concurrency = ${count}`];
}

const [runs = "5", seconds = "3", part = ""] = process.argv.slice(2);
const participants: readonly Participant[] = [
  { id: "tuned", kind: "other", peer: postfix({ tuned: true }) },
  ...Object.entries(VARIANTS)
    .filter(([name]) => name.includes(part))
    .map(
      ([name, settings]): Participant => ({
        id: name,
        kind: "other",
        peer: postfix({ tuned: true, name, settings }),
      }),
    ),
];
const effort = { runs: Number(runs), say: (line: string) => console.log(line) };
const secondsOf = () => Number(seconds);
const command = `node bench/speed/tune-postfix.ts ${process.argv.slice(2).join(" ")}`;
const result = await runBench({
  cases: casesNamed(["kept", "one"]),
  participants,
  effort,
  secondsOf,
  command,
});
console.log(reportOf(result, { reference: REFERENCE }));
