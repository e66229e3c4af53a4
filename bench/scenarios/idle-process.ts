/** The process behind idle.ts: connections that have said EHLO and then nothing. */
import { type ClientConnection, openConnection } from "./client-connection.ts";
import { beHelper } from "./helper-process.ts";
import type { IdleOptions } from "./idle.ts";

const AT_ONCE = 100;
/** Below what the kernel has of ports for one address. */
const PER_ADDRESS = 2000;

beHelper<IdleOptions, { readonly more?: number }, number>(async ({ port }) => {
  const held: ClientConnection[] = [];
  return async ({ more = 0 }) => {
    const wanted = held.length + more;
    while (held.length < wanted) {
      const addresses = Array.from(
        { length: Math.min(AT_ONCE, wanted - held.length) },
        (_, n) => `127.0.0.${2 + Math.floor((held.length + n) / PER_ADDRESS)}`,
      );
      held.push(
        ...(await Promise.all(addresses.map((localAddress) => openConnection({ port, localAddress })))),
      );
    }
    return held.filter(({ isOpen }) => isOpen).length;
  };
});
