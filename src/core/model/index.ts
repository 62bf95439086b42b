export * from "./defaults.js";
export * from "./env.js";
export * from "./errors.js";
export * from "./ids.js";
export * from "./kinds.js";
export * from "./manifest.js";
export * from "./names.js";
export * from "./records.js";
