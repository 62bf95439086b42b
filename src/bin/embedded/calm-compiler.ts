import { setFlagsFromString } from "node:v8";

const FLAG = "--wasm-tiering-budget";
/** In bytes of code that a function runs through. V8's own is 1,800,000 (Node 20) or 13,000,000 (Node 26). */
const BUDGET = 540_000_000;

/**
 * Lets V8 optimize a function of WebAssembly when it is in use for long, not as soon as it has run a little: PostgreSQL has functions
 * that take V8 half a second and more each, and a start needs none of them fast. To be called before the store is opened.
 */
export function calmCompiler(): void {
  if (process.execArgv.some((argument) => argument.startsWith(FLAG))) return;
  setFlagsFromString(`${FLAG}=${String(BUDGET)}`);
}
