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
          exclude: ["node_modules/**", "test/api/**"],
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
    ],
  },
});
