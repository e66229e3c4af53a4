import { defineConfig } from "vitest/config";

const shared = { pool: "forks", hookTimeout: 60_000, env: { NODE_NO_WARNINGS: "1" } } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: "process",
          include: ["**/*.test.ts"],
          exclude: ["node_modules/**", "test/api/**", "test/chart/**", "test/cluster/**"],
          testTimeout: 30_000,
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
          testTimeout: 60_000,
          hookTimeout: 120_000,
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
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
