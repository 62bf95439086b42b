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
    setupFiles: ["test/support/costs.ts"],
    // Bounds of what hangs: whatever is awaited ends its wait when it comes, and a busy machine may take its time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // More than there are processors in the smallest machine for it: tests of servers wait for much of their time.
    maxWorkers: 3,
    // As `dinp up` has it: most tests of a store open it, do little, and close it.
    execArgv: ["--wasm-tiering-budget=540000000"],
  },
});
