import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";
import { coreGlobals } from "./scripts/lint/core-globals.mjs";
import { folderImports } from "./scripts/lint/folder-imports.mjs";
import { coreGlobals as allowedGlobals, pureFolders } from "./scripts/lint/folders.mjs";

const inCore = { files: ["src/core/**/*.ts"], ignores: ["src/core/testing/**"] };

const clockSyntax = [
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: "The time comes from the Clock port.",
  },
  { selector: "CallExpression[callee.name='Date']", message: "The time comes from the Clock port." },
];

const waitingSyntax = [
  { selector: ":function[async=true]", message: "This folder is pure: it has no async functions." },
  { selector: "AwaitExpression", message: "This folder is pure: it awaits nothing." },
  { selector: "ForOfStatement[await=true]", message: "This folder is pure: it awaits nothing." },
  {
    selector: "ImportSpecifier[imported.name=/^(Clock|Random)$/]",
    message: "This folder is pure: it is given the time and random values, not the port.",
  },
];

export default defineConfig(
  { ignores: ["dist/", "coverage/", "temp/", ".cache/", "test/lint-fixtures/", "test/**/fixtures/"] },
  { linterOptions: { noInlineConfig: true } },

  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      // The compiler finds names that nothing defines.
      "no-undef": "off",
      // Patterns that take terminal control characters out of a text have to name them.
      "no-control-regex": "off",
      // Prettier puts the line breaks.
      "no-unexpected-multiline": "off",
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },

  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { dinp: { rules: { "folder-imports": folderImports, "core-globals": coreGlobals } } },
    rules: { "dinp/folder-imports": "error" },
  },
  {
    ...inCore,
    languageOptions: {
      globals: {
        ...Object.fromEntries(allowedGlobals.map((name) => [name, "readonly"])),
        globalThis: "off",
        Atomics: "off",
        FinalizationRegistry: "off",
        SharedArrayBuffer: "off",
        WeakRef: "off",
      },
    },
    rules: {
      "dinp/core-globals": "error",
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "The time comes from the Clock port." },
        { object: "Math", property: "random", message: "Randomness comes from the Random port." },
        { object: "AbortSignal", property: "timeout", message: "Wait through the Clock port." },
      ],
      "no-restricted-syntax": ["error", ...clockSyntax],
    },
  },
  {
    files: pureFolders.map((folder) => `${folder}/**/*.ts`),
    rules: { "no-restricted-syntax": ["error", ...clockSyntax, ...waitingSyntax] },
  },

  {
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: {
      "@typescript-eslint/no-empty-function": "off",
      // Matchers such as expect.any() are `any`.
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    // Plain JavaScript is checked by the compiler (checkJs); types there are comments.
    files: ["**/*.js", "**/*.mjs"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
  },
);
