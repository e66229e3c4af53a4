/** The session of a client that no connector serves any more: 421, and no handler. */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Endpoints, SessionServices } from "./contract.ts";
import { makeSession } from "./dialogue.ts";
import { SHUTTING_DOWN } from "./replies.ts";
import type { SessionControl, SessionOptions } from "./session.ts";
import { HALF_CLOSE_MS } from "./watch.ts";
import { openWire } from "./wire.ts";

export function refuseSession(
  socket: Socket | TLSSocket,
  parts: { id: string; endpoints: Endpoints; services: SessionServices; options: SessionOptions },
): SessionControl {
  const { id, endpoints, services, options } = parts;
  const { clock, watch } = options;
  const wire = openWire(
    socket,
    { id, endpoints, secureContext: () => undefined },
    {
      octets: () => undefined,
      ended: () => wire.close(),
      secured: () => undefined,
      failed: () => undefined,
      closed() {
        watch.remove(watchedAt);
        services.closed();
      },
    },
  );
  const closedAt = clock.now();
  const lingering = {
    look(now: number) {
      if (now - closedAt >= HALF_CLOSE_MS) wire.destroy();
      return closedAt + HALF_CLOSE_MS - now;
    },
  };
  const watchedAt = watch.add(lingering);
  wire.open();
  wire.send(SHUTTING_DOWN);
  wire.close();
  services.replied("CONNECT", SHUTTING_DOWN);
  return {
    session: makeSession(id, endpoints),
    inTransaction: () => false,
    shutdown: () => undefined,
    destroy: () => wire.destroy(),
  };
}
