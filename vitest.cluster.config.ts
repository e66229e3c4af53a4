/** `npm run test:cluster`, apart from `npm test`: it takes minutes and root, and changes the machine's network while it runs. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "cluster",
    include: ["test/cluster/**/*.test.ts"],
    globalSetup: ["test/cluster/global-setup.ts"],
    pool: "forks",
    env: { NODE_NO_WARNINGS: "1" },
    // One cluster for all.
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});
