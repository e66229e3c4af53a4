/** Every way in which an API server, or the way to it, fails: begun and ended on a fault proxy. */
import { eventually } from "./eventually.ts";
import type { FaultProxy, FaultRule } from "./fault-proxy.ts";
import type { LineMode } from "./faulty-line.ts";

export interface ApiFaultInForce {
  /** Resolves when somebody has surely met it. */
  met(): Promise<void>;
  end(): Promise<void>;
}

export interface ApiFault {
  readonly name: string;
  begin(proxy: FaultProxy): Promise<ApiFaultInForce>;
}

const isFollowing: FaultRule["when"] = ({ verb }) => verb === "watch" || verb === "list";

export const API_FAULTS: readonly ApiFault[] = [
  answers("429 with Retry-After", { status: 429, retryAfter: 1 }),
  answers("500", { status: 500 }),
  answers("503 for half of the calls", { status: 503, share: 0.5 }),
  answers("410 for watches and lists", { status: 410, when: isFollowing }),
  behaves("resets in the middle of answers", { kind: "limit", octets: 6000, end: "reset" }),
  behaves("refused connections", { kind: "refuse" }),
  behaves("silence", { kind: "stall" }),
  behaves("a slow line", { kind: "slow", delayMs: 200 }),
];

/** Watches that never say anything again: the kernel of a proxy in between keeps the connection alive. */
export const HALF_OPEN: ApiFault = {
  name: "half-open watches",
  async begin({ line }) {
    line.silence();
    return { met: async () => {}, end: async () => {} };
  },
};

/** Watches that are open are cut, so that they meet it as well. */
function answers(name: string, rule: FaultRule): ApiFault {
  return {
    name,
    async begin(proxy) {
      const inForce = proxy.answer(rule);
      proxy.line.reset();
      return {
        met: async () => void (await eventually(() => inForce.given > 0)),
        end: async () => inForce.end(),
      };
    },
  };
}

function behaves(name: string, mode: LineMode): ApiFault {
  return {
    name,
    async begin({ line }) {
      const before = line.acceptedConnections;
      await line.set(mode);
      if (mode.kind !== "stall") line.reset();
      const isMet = () => mode.kind !== "limit" || line.acceptedConnections > before + 2;
      return {
        met: async () => void (await eventually(isMet)),
        end: () => line.set({ kind: "pass" }),
      };
    },
  };
}
