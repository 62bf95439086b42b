export * from "./monitor-judgement.js";
export * from "./monitor-policy.js";
export * from "./monitor-sight.js";
export * from "./observation.js";
export * from "./probe-state.js";
