/**
 * Back pressure: turns queue length, disk and memory into one level, with hysteresis.
 *
 * A level is entered at its threshold and left a tenth below it, so that a value which hovers at the
 * threshold does not flap. The worst resource decides. A measurement that is not a number changes nothing.
 *
 * @module
 */
import type { Level } from "../../snapshot/schema.ts";

export type PressureLevel = "normal" | "medium" | "high";

export interface PressureReading {
  readonly submissionQueue: number;
  readonly diskUsedPercent: number;
  readonly memoryUsedPercent: number;
}

export type PressureLevels = Readonly<Record<keyof PressureReading, Level>>;

export interface Pressure {
  /** `because` names the resources at that level with their values; "" when normal. */
  observe(reading: PressureReading): { readonly level: PressureLevel; readonly because: string };
}

const RANK: Readonly<Record<PressureLevel, number>> = { normal: 0, medium: 1, high: 2 };
const RESOURCES = ["submissionQueue", "diskUsedPercent", "memoryUsedPercent"] as const;

/** A level machine; it keeps the level each resource is at. */
export function createPressure(levels: PressureLevels): Pressure {
  const current = new Map<keyof PressureReading, PressureLevel>();
  return {
    observe(reading) {
      for (const resource of RESOURCES) {
        const before = current.get(resource) ?? "normal";
        current.set(resource, levelOf(reading[resource], levels[resource], before));
      }
      const level = [...current.values()].reduce((worst, each) => (RANK[each] > RANK[worst] ? each : worst));
      if (level === "normal") return { level, because: "" };
      const causes = RESOURCES.filter((resource) => current.get(resource) === level);
      return { level, because: causes.map((resource) => `${resource} ${reading[resource]}`).join(", ") };
    },
  };
}

function levelOf(value: number, { medium, high }: Level, before: PressureLevel): PressureLevel {
  if (Number.isNaN(value)) return before;
  if (value >= high || (before === "high" && value > high * 0.9)) return "high";
  if (value >= medium || (before !== "normal" && value > medium * 0.9)) return "medium";
  return "normal";
}
