import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@dinp\/core$/, replacement: source("core/index.ts") },
      { find: /^@dinp\/core\/testing$/, replacement: source("core/testing/index.ts") },
      { find: /^@dinp\/core\/client$/, replacement: source("adapters/http-api/client.ts") },
      { find: /^@dinp\/core\/(.+)$/, replacement: source("adapters/$1/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // More than there are processors in the smallest machine for it: tests of servers wait for much of their time.
    maxWorkers: 3,
  },
});
