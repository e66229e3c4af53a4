/** Lists of the predicates and actions of a rule. */
import { z } from "zod";
import { AddressText } from "./formats.ts";

export const listOf = (what: string, item: z.ZodType<string, string> = z.string().min(1).max(256)) =>
  z.array(item).min(1).max(1000).optional().describe(what);
export const words = (what: string) => listOf(what);
export const addresses = (what: string) => listOf(what, AddressText);
