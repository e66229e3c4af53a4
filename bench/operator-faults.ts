/**
 * Seconds from the end of each fault until everything edited during it is in force at the SMTP port and every status says so.
 *
 *   node bench/operator-faults.ts [seconds=10] [name ...]
 *
 * Each fault lasts `seconds`; the API server is stopped for a minute. The operator has the times of the lease that it is
 * shipped with, and is started again when it ends, as a kubelet does it.
 *
 * @module
 */
import { API_FAULTS, type ApiFault, HALF_OPEN } from "../test/helpers/api-faults.ts";
import { beginEdits } from "../test/helpers/edits-behind-faults.ts";
import { startFaultProxy } from "../test/helpers/fault-proxy.ts";
import { openMailCluster } from "../test/helpers/mail-cluster.ts";
import { type OperatorProcess, startOperator } from "../test/helpers/operator-process.ts";

const [seconds = "10", ...chosen] = process.argv.slice(2);
const STOPPED_SECONDS = 60;
const CONVERGES_WITHIN_MS = 300_000;

const mail = await openMailCluster();
const { server, account, podProxy } = mail;
const proxy = await startFaultProxy(server);
const pause = (lasts: number) =>
  new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), lasts * 1000));

let starts = 0;
let isEnding = false;
let operator: OperatorProcess | undefined;
async function keepRunning(): Promise<void> {
  while (!isEnding) {
    // No token without an API server: a kubelet waits as well.
    operator = await startOperator({ server, account, apiUrl: proxy.url }).catch(() => pause(1));
    if (operator !== undefined) starts += 1;
    await operator?.process.ended;
  }
}
const running = keepRunning();

interface Trial {
  readonly name: string;
  /** The fault, from its begin to its end; `edit` falls within it. */
  run(edit: () => Promise<void>): Promise<void>;
}

function between(who: string, line: typeof proxy, { name, begin }: ApiFault): Trial {
  return {
    name: `${who}: ${name}`,
    async run(edit) {
      const fault = await begin(line);
      await edit();
      await pause(Number(seconds));
      await fault.end();
    },
  };
}

const faults = [...API_FAULTS, HALF_OPEN];
const trials: readonly Trial[] = [
  ...faults.map((fault) => between("operator", proxy, fault)),
  ...faults.map((fault) => between("pods", podProxy, fault)),
  {
    name: "API server killed and started again",
    async run(edit) {
      await server.stopServer("SIGKILL");
      await server.startAgain();
      await edit();
    },
  },
  {
    name: `API server stopped for ${STOPPED_SECONDS} s`,
    async run(edit) {
      await server.stopServer();
      await pause(STOPPED_SECONDS);
      await server.startAgain();
      await edit();
    },
  },
  {
    name: "API server forgot its history",
    async run(edit) {
      await proxy.line.set({ kind: "refuse" });
      proxy.line.reset();
      await edit();
      await server.forgetHistory();
      await proxy.line.set({ kind: "pass" });
    },
  },
];

const rows: Record<string, number | string>[] = [];
try {
  await mail.converged();
  const edits = beginEdits(mail);
  for (const { name, run } of trials.filter((one) => chosen.every((word) => one.name.includes(word)))) {
    const flow = mail.flow();
    const before = { starts, restarts: restarts() };
    await run(edits.make);
    const ended = performance.now();
    await edits.inForce(flow, CONVERGES_WITHIN_MS);
    const converged = ((performance.now() - ended) / 1000).toFixed(1);
    const { taken, refused, lost, twice } = await flow.end();
    rows.push({
      fault: name,
      "converged s": converged,
      "operator ended": starts - before.starts,
      "pods ended": restarts() - before.restarts,
      taken,
      refused: refused.length,
      lost,
      twice,
    });
    console.log(JSON.stringify(rows.at(-1)));
  }
  console.table(rows);
} finally {
  isEnding = true;
  await operator?.process.kill("SIGTERM", 5000);
  await running;
  await proxy.stop();
  await mail.stop();
}

function restarts(): number {
  return mail.cluster.pods().reduce((sum, pod) => sum + pod.restarts, 0);
}
