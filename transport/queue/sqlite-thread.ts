/**
 * SQLite thread: questions to the worker that owns the database, and its answers.
 *
 * Errors: QueueStoreError with the cause in words. Once the thread has ended every question is refused.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import type { Fault } from "./sqlite-commit.ts";
import type { Engine } from "./sqlite-engine.ts";

/** One question to the worker. It answers in the order in which it is asked. */
export interface Request {
  readonly call: "open" | Exclude<keyof Engine, "vacuum">;
  readonly values: readonly unknown[];
}

export interface Answer {
  readonly result?: unknown;
  readonly fault?: Fault;
}

/** The store refused a change or could not answer. */
export class QueueStoreError extends Error {
  override readonly name = "QueueStoreError";
  /** SQLite's result code; 13 is a full disk. 0: none. */
  readonly code: number;

  constructor(message: string, code: number, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

interface Asked {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class SqliteThread {
  readonly #worker: Worker;
  readonly #onEnd: (error: QueueStoreError) => void;
  readonly #asked: Asked[] = [];
  #dead: QueueStoreError | undefined;

  /** `onEnd`: the thread has ended, asked to or not. */
  constructor(path: string, onEnd: (error: QueueStoreError) => void) {
    this.#onEnd = onEnd;
    this.#worker = new Worker(new URL("./sqlite-worker.ts", import.meta.url), {
      workerData: { path },
      execArgv: [],
      name: "postroom-queue",
    });
    this.#worker.on("message", (reply) => this.#receive(reply));
    this.#worker.on("error", (cause) => this.#fail(cause));
    // An answer is lost: those behind it would go to the wrong questions.
    this.#worker.on("messageerror", (cause) => {
      this.#fail(cause);
      void this.#worker.terminate();
    });
    this.#worker.on("exit", () => this.#die(new QueueStoreError("The queue is closed", 0)));
  }

  /** Why every question is refused; undefined while the thread runs. */
  get dead(): QueueStoreError | undefined {
    return this.#dead;
  }

  /** `moved`: buffers among the values that the worker has from then on. */
  ask(call: Request["call"], values: unknown[] = [], moved: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ call, values } satisfies Request, moved);
      this.#asked.push({ resolve, reject });
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive({ result, fault }: Answer): void {
    const asked = this.#asked.shift();
    if (fault === undefined) asked?.resolve(result);
    else asked?.reject(storeError("use", fault));
  }

  #fail(cause: unknown): void {
    this.#die(new QueueStoreError(`The queue's thread failed: ${cause}`, 0, { cause }));
  }

  #die(error: QueueStoreError): void {
    if (this.#dead !== undefined) return;
    this.#dead = error;
    for (const { reject } of this.#asked.splice(0)) reject(error);
    this.#onEnd(error);
  }
}

export function storeError(verb: string, { message, code }: Fault): QueueStoreError {
  return new QueueStoreError(`Cannot ${verb} the queue: ${message}`, code);
}
