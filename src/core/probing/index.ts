export * from "./probe-state.js";
