/**
 * Calls: functions of one thread called from another, over a message port. Errors come back as Error with their words.
 *
 * @module
 */

/** Asynchronous functions whose arguments and results can be cloned. */
// biome-ignore lint/suspicious/noExplicitAny: parameters of any kind are told apart by inference alone.
export type Verbs<Of> = { readonly [Name in keyof Of]: (...args: any[]) => Promise<unknown> };

/** A MessagePort, or a Worker. */
export interface Port {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

interface Call {
  readonly call: number;
  readonly verb: string;
  readonly args: readonly unknown[];
}

type Answer = { readonly call: number } & (
  | { readonly result: unknown }
  | { readonly fault: { readonly message: string; readonly stack: string | undefined } }
);

export interface Caller<Of extends Verbs<Of>> {
  call<Name extends keyof Of & string>(verb: Name, ...args: Parameters<Of[Name]>): ReturnType<Of[Name]>;
  /** Nobody answers any more: calls that wait, and further ones, reject. */
  end(cause: Error): void;
}

export function createCaller<Of extends Verbs<Of>>(port: Port): Caller<Of> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;
  let ended: Error | undefined;
  port.on("message", (message) => {
    const answer = message as Answer;
    const asked = waiting.get(answer.call);
    waiting.delete(answer.call);
    if ("fault" in answer) asked?.reject(errorOf(answer.fault));
    else asked?.resolve(answer.result);
  });
  const ask = (verb: string, args: readonly unknown[]): Promise<unknown> => {
    if (ended !== undefined) return Promise.reject(ended);
    const asked = Promise.withResolvers<unknown>();
    calls += 1;
    waiting.set(calls, asked);
    port.postMessage({ call: calls, verb, args } satisfies Call);
    return asked.promise;
  };
  return {
    call: <Name extends keyof Of & string>(verb: Name, ...args: Parameters<Of[Name]>) =>
      ask(verb, args) as ReturnType<Of[Name]>,
    end(cause) {
      ended = cause;
      for (const asked of waiting.values()) asked.reject(cause);
      waiting.clear();
    },
  };
}

/** Answers every call with what the verb of its name resolves to. */
export function answerCalls<Of extends Verbs<Of>>(port: Port, verbs: Of): void {
  port.on("message", async (message) => {
    const { call, verb, args } = message as Call;
    try {
      const result = await verbs[verb as keyof Of](...args);
      port.postMessage({ call, result } satisfies Answer);
    } catch (cause) {
      const { message: words, stack } = cause instanceof Error ? cause : new Error(String(cause));
      port.postMessage({ call, fault: { message: words, stack } } satisfies Answer);
    }
  });
}

function errorOf({
  message,
  stack,
}: {
  readonly message: string;
  readonly stack: string | undefined;
}): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
