export { registerAgent } from "./agent-module.js";
export type { ClusterFacts, NodeFacts, ServerFacts } from "./facts.js";
export { registerPlatform } from "./platform-module.js";
export { registerRouter } from "./router-module.js";
export { registerServer } from "./server-module.js";
export { part, provide, provideDefault, tokens, type Token } from "./tokens.js";
