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
    // Bounds for what hangs. They are no measure of speed: on a busy machine a test may not run at all for some seconds.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // More than there are processors in the smallest machine for it: tests of servers wait for much of their time.
    maxWorkers: 3,
  },
});
