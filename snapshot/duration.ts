/** Durations inside settings that the snapshot keeps as written (agents): read where they are used. */
export { parseDuration } from "../crds/common.ts";
