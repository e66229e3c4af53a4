/**
 * A part of a scenario in a process of its own, so that it neither waits for the runner nor makes it wait.
 *
 * The starter gets questions answered one at a time; the helper gets its configuration first, then the questions.
 * A helper ends with its starter, however that ends.
 *
 * @module
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { guarded } from "../../test/helpers/process-guard.ts";

export interface Helper<Question, Answer> {
  readonly pid: number;
  ask(question: Question): Promise<Answer>;
  stop(): Promise<void>;
}

/** `file`: beside this one. Resolves once it is ready; rejects with its words when it fails. */
export async function startHelper<Configuration, Question, Answer>(
  file: string,
  configuration: Configuration,
): Promise<Helper<Question, Answer>> {
  const child = guarded(fork(join(import.meta.dirname, file), { serialization: "advanced" }));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const answered = () =>
    new Promise<Answer>((resolve, reject) => {
      const onExit = () => reject(new Error(`"${file}" ended before it answered`));
      child.once("exit", onExit);
      child.once("message", (answer: { readonly failed?: string; readonly is?: Answer }) => {
        child.off("exit", onExit);
        if (answer.failed === undefined) resolve(answer.is as Answer);
        else reject(new Error(`"${file}": ${answer.failed}`));
      });
    });
  const ask = (message: unknown) => {
    const answer = answered();
    child.send(message as object);
    return answer;
  };
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  };
  await ask({ configuration }).catch(async (cause: unknown) => {
    await stop();
    throw cause;
  });
  return { pid: child.pid ?? 0, ask: (question) => ask({ question }), stop };
}

/** The helper's side: `start` gets the configuration, what it resolves to answers the questions. */
export function beHelper<Configuration, Question, Answer>(
  start: (configuration: Configuration) => Promise<(question: Question) => Promise<Answer> | Answer>,
): void {
  type Message = { readonly configuration: Configuration } | { readonly question: Question };
  let answer: ((question: Question) => Promise<Answer> | Answer) | undefined;
  const work = async (message: Message) => {
    if ("configuration" in message) {
      answer = await start(message.configuration);
      return undefined;
    }
    return await answer?.(message.question);
  };
  process.on("message", (message: Message) => {
    work(message).then(
      (is) => process.send?.({ is }),
      (fault: unknown) => process.send?.({ failed: String(fault) }),
    );
  });
  process.on("disconnect", () => process.exit());
}
