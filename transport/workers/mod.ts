/** Door of the workers room: shares of a transport, each in a thread of its own, driven as one. */
export { allocateUse, type CommonUse, createCommonUse, type Use, type UseMemory } from "./common-use.ts";
export { type JoinedShares, joinShares } from "./joined-shares.ts";
export { type QueueFolder, queueFolder, queueFolders } from "./queue-folders.ts";
export type {
  BoundAddress,
  Configuration,
  PreparedShare,
  QueueFigures,
  Share,
  ShareFigures,
} from "./share.ts";
export { createSteadyPorts, type SteadyPorts } from "./steady-ports.ts";
export { openThreadShare, serveShare, type ThreadOptions } from "./thread-share.ts";
