/**
 * SteadyPorts: a binding with port 0 (tests) is given a port that is free, the same one in every share and for as long as
 * it is declared.
 *
 * @module
 */
import { createServer, type Server } from "node:net";
import type { Configuration } from "./share.ts";

type Connector = Configuration["snapshot"]["receiveConnectors"][number];

export interface SteadyPorts {
  /**
   * The configuration with ports for its zeros. They are held until `release` is called: after others have bound them,
   * so that no other program gets them in between.
   */
  assign(next: Configuration): Promise<{ readonly assigned: Configuration; release(): void }>;
}

/** `everywhere`: where a binding without an address listens. */
export function createSteadyPorts(everywhere: string): SteadyPorts {
  const ports = new Map<string, number>();
  const known = new WeakMap<Connector, Connector>();
  return {
    async assign(next) {
      const { receiveConnectors } = next.snapshot;
      if (!receiveConnectors.some(hasZero)) return { assigned: next, release() {} };
      const held: Server[] = [];
      for (const { address = "" } of receiveConnectors.flatMap(({ bindings }) => bindings.filter(isZero))) {
        if (!ports.has(address)) ports.set(address, await hold(address || everywhere, held));
      }
      const connectors = receiveConnectors.map((connector) => {
        if (!hasZero(connector)) return connector;
        const assigned = known.get(connector) ?? withPorts(connector, ports);
        known.set(connector, assigned);
        return assigned;
      });
      return {
        assigned: { ...next, snapshot: { ...next.snapshot, receiveConnectors: connectors } },
        release() {
          for (const server of held) server.close();
        },
      };
    },
  };
}

function hasZero({ bindings }: Connector): boolean {
  return bindings.some(isZero);
}

function isZero({ port }: Connector["bindings"][number]): boolean {
  return port === 0;
}

function withPorts(connector: Connector, ports: ReadonlyMap<string, number>): Connector {
  const bindings = connector.bindings.map((binding) =>
    isZero(binding) ? { ...binding, port: ports.get(binding.address ?? "") ?? 0 } : binding,
  );
  return { ...connector, bindings };
}

/** A free port, in use until its server closes; the kernel lets others of this user bind it beside. */
async function hold(host: string, held: Server[]): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  held.push(server);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port: 0, reusePort: true }, resolve);
  });
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}
