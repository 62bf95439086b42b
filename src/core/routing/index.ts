export * from "./attempts.js";
export * from "./balancer.js";
export * from "./desired-routes.js";
export * from "./diff-routes.js";
export * from "./prepare-changes.js";
export * from "./route-claims.js";
export * from "./route-index.js";
export * from "./table-version.js";
