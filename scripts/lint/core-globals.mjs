/**
 * What to do instead, for the globals that one reaches for most.
 *
 * @type {Readonly<Record<string, string>>}
 */
const INSTEAD = {
  setTimeout: "Wait through the Clock port.",
  setInterval: "Wait through the Clock port.",
  setImmediate: "Wait through the Clock port.",
  performance: "Ask the Clock port.",
  crypto: "Ask the Random or the Hasher port.",
  console: "Write through the Logger port.",
  process: "Only src/bin reads the environment.",
  Buffer: "Use Uint8Array, TextEncoder and TextDecoder.",
  fetch: "Connections belong to adapters.",
  globalThis: "Name the global itself.",
};

/**
 * Core may use the language's globals and those that the configuration declares; every other name that nothing
 * defines (a value's or a type's) is reported. Needs no list of what is forbidden, so nothing can be forgotten in it.
 *
 * @type {import("eslint").Rule.RuleModule}
 */
export const coreGlobals = {
  meta: {
    type: "problem",
    schema: [],
    messages: { outside: "{{name}} is not one of the globals that core may use. {{instead}}" },
  },
  create(context) {
    return {
      Program() {
        for (const { identifier } of context.sourceCode.scopeManager.globalScope?.through ?? []) {
          if (identifier.type !== "Identifier") continue;
          const { name } = identifier;
          const instead = INSTEAD[name] ?? "What it needs from outside comes through a port.";
          context.report({ node: identifier, messageId: "outside", data: { name, instead } });
        }
      },
    };
  },
};
