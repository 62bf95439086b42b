import { afterAll, beforeAll, expect } from "vitest";
import { startPlatform, type PlatformFixture } from "./platform-fixture.js";
import { runCli, type CliRun, type RunOptions } from "./run-cli.js";

/** A platform for the tests of one file, and the CLI as a user of it runs it. */
export interface UsedPlatform {
  /** Within tests and hooks: it is started before them. */
  readonly platform: Omit<PlatformFixture, "stop">;
  readonly dinp: (argv: readonly string[], options?: RunOptions) => Promise<CliRun>;
  /** Runs a command that must succeed, and whose output has no control characters unless it is for a terminal. */
  readonly ok: (argv: readonly string[], options?: RunOptions) => Promise<CliRun>;
}

/** Starts a platform before the file's tests, then prepares it, and stops it after them. */
export function usePlatform(prepare: () => Promise<void> = () => Promise.resolve()): UsedPlatform {
  let started: PlatformFixture | null = null;
  const own = (): PlatformFixture => {
    if (started === null) throw new Error("The platform is there in tests and hooks only.");
    return started;
  };
  beforeAll(async () => {
    started = await startPlatform();
    await prepare();
  });
  afterAll(async () => {
    await started?.stop();
  });
  const dinp: UsedPlatform["dinp"] = (argv, options = {}) => {
    const { folder, env } = own();
    return runCli(argv, { cwd: folder, ...options, env: { ...env, ...options.env } });
  };
  const ok: UsedPlatform["ok"] = async (argv, options = {}) => {
    const run = await dinp(argv, options);
    expect(run.code, run.err).toBe(0);
    if (options.tty !== true) expect(run.out + run.err).not.toMatch(/\p{Cc}(?<!\n)/u);
    return run;
  };
  const platform: UsedPlatform["platform"] = {
    get folder() {
      return own().folder;
    },
    get apiUrl() {
      return own().apiUrl;
    },
    get routerUrl() {
      return own().routerUrl;
    },
    everything: () => own().everything(),
    tidy: () => own().tidy(),
    get token() {
      return own().token;
    },
    get env() {
      return own().env;
    },
    files: (name, files) => own().files(name, files),
    get: (host, path) => own().get(host, path),
  };
  return { platform, dinp, ok };
}
