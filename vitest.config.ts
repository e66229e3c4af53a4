import { defineConfig } from "vitest/config";

/** Bounds for what hangs, far from what a slow machine needs: a test waits for a condition, and no longer than it takes. */
const shared = {
  pool: "forks",
  testTimeout: 180_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 40_000 } },
  env: { NODE_NO_WARNINGS: "1" },
} as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: "process",
          include: ["**/*.test.ts"],
          exclude: ["node_modules/**", "test/api/**", "test/chart/**", "test/cluster/**"],
        },
      },
      {
        // Each file has an API server of its own, which takes a core: one after the other, when the rest is done.
        test: {
          ...shared,
          name: "api",
          include: ["test/api/**/*.test.ts"],
          globalSetup: ["test/api/global-setup.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...shared,
          name: "chart",
          include: ["test/chart/**/*.test.ts"],
          globalSetup: ["test/api/global-setup.ts", "test/chart/global-setup.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
