export { registerAgent } from "./agent-module.js";
export type { ClusterFacts, MonitorFacts, NodeFacts, ServerFacts } from "./facts.js";
export { registerMonitor } from "./monitor-module.js";
export { registerPlatform } from "./platform-module.js";
export { registerRouter } from "./router-module.js";
export { registerServer } from "./server-module.js";
export { part, provide, provideDefault, tokens, type Token } from "./tokens.js";
