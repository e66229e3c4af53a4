/**
 * What comes before SMTP: the PROXY header of a balancer and the handshake of implicit TLS, each with its deadline.
 *
 * @module
 */
import { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import type { Arrival } from "./arrival.ts";
import type { SessionServices } from "./contract.ts";
import type { SmtpDeps } from "./mod.ts";
import { type ProxyHeader, parseProxyHeader } from "./proxy-protocol.ts";

const PROXY_TIMEOUT_MS = 5000;
const HANDSHAKE_TIMEOUT_MS = 30_000;

/** The header a balancer must send; undefined: it left, was too slow, or sent something else. */
export async function readProxyHeader(
  deps: SmtpDeps,
  { socket, gone }: Arrival,
): Promise<{ readonly header: ProxyHeader; readonly rest: Buffer } | undefined> {
  const { promise, resolve } = Promise.withResolvers<{ header: ProxyHeader; rest: Buffer } | undefined>();
  let octets = Buffer.alloc(0);
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read())
      octets = Buffer.concat([octets, chunk]);
    const parsed = parseProxyHeader(octets);
    if (parsed.state === "more") return;
    if (parsed.state === "done")
      return resolve({ header: parsed.header, rest: octets.subarray(parsed.length) });
    deps.count("refused", { connector: "", reason: "PROXY header" });
    deps.log.warn({ peer: socket.remoteAddress, reason: parsed.reason }, "bad PROXY header");
    resolve(undefined);
  };
  const onEnd = () => resolve(undefined);
  socket.on("readable", onReadable).once("end", onEnd).once("close", onEnd);
  try {
    return await withDeadline(deps.clock, promise, { ms: PROXY_TIMEOUT_MS, gone });
  } finally {
    socket.off("readable", onReadable).off("end", onEnd).off("close", onEnd);
  }
}

/** TLS from the first octet; undefined: the handshake failed, or there is no certificate. */
export async function secure(
  deps: SmtpDeps,
  { socket, gone }: Arrival,
  services: SessionServices,
): Promise<TLSSocket | undefined> {
  const secureContext = services.secureContext("");
  if (secureContext === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<TLSSocket | undefined>();
  const stream = new TLSSocket(socket, {
    isServer: true,
    secureContext,
    SNICallback: (servername, choose) => choose(null, services.secureContext(servername) ?? secureContext),
  });
  stream.on("error", () => socket.destroy());
  // Node holds faults after the handshake back from "error" unless a tls.Server made the stream.
  stream.on("_tlsError", () => socket.destroy());
  stream.once("secure", () => resolve(stream));
  // A half-closed client cannot finish a handshake: "end" before "secure" is the end of it.
  stream.once("end", () => resolve(undefined)).once("close", () => resolve(undefined));
  return withDeadline(deps.clock, promise, { ms: HANDSHAKE_TIMEOUT_MS, gone });
}

/** What the promise says, or undefined when the time is over or the socket gone. */
async function withDeadline<T>(
  clock: Clock,
  promise: Promise<T>,
  { ms, gone }: { readonly ms: number; readonly gone: AbortSignal },
): Promise<T | undefined> {
  const settled = new AbortController();
  const late = clock.sleep(ms, AbortSignal.any([gone, settled.signal])).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    settled.abort();
  }
}
