import type { HealthCheck } from "./records.js";

/** Readiness when the app says nothing: any answer below 500 to `GET /`. */
export const defaultCheck: HealthCheck = Object.freeze({
  type: "http",
  path: "/",
  statusMin: 200,
  statusMax: 499,
  intervalMs: 5_000,
  timeoutMs: 2_000,
  failureThreshold: 3,
  successThreshold: 1,
  startupMs: 60_000,
});

/** What a release gets when neither the user nor the manifest says. */
export const releaseDefaults = Object.freeze({
  instances: 1,
  memoryMb: 256,
  cpuMillis: 100,
  stopGraceMs: 10_000,
  drainMs: 30_000,
});

/** Bounds that every user of the platform meets. */
export const limits = Object.freeze({
  instancesMax: 1_000,
  memoryMbMin: 16,
  memoryMbMax: 1_048_576,
  cpuMillisMin: 1,
  cpuMillisMax: 1_024_000,
  envVariablesMax: 500,
  envBytesMax: 128 * 1024,
  secretNameMax: 128,
  secretBytesMax: 64 * 1024,
  secretVersionsKept: 10,
  domainsPerAppMax: 100,
  commandWordsMax: 256,
  uploadBytesMax: 2 * 1024 ** 3,
  imageBytesMax: 8 * 1024 ** 3,
  imageFilesMax: 500_000,
  buildLogLinesMax: 200,
  buildLogLineMax: 1_000,
});
