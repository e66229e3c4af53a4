/**
 * CompileMemory: what one compilation of a transport leaves to the next.
 *
 * It never changes a result, only its cost: what is asked for with the same objects is answered with the same objects.
 *
 * @module
 */
import { PackMemory } from "./pack.ts";

export class CompileMemory {
  readonly pack = new PackMemory();
}
