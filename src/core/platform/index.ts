export { appState, countReady, type AppFacts } from "./app-state.js";
export type { BuildRequest } from "./builds.js";
export type { Caller, LogSource, PlatformOptions, ReadOptions, WriteOptions } from "./context.js";
export { createPlatform, type Platform } from "./platform.js";
export * from "./requests.js";
export { trimAnswers, trimBuilds, trimEvents } from "./tidy.js";
export type { NewToken } from "./tokens.js";
export * from "./views.js";
