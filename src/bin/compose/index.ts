export { registerRouter } from "./router-module.js";
export { part, provide, provideDefault, tokens, type Token } from "./tokens.js";
