// Writes src/core/build/built-in-templates.ts from the YAML file beside it: run it after a change to that file.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const folder = fileURLToPath(new URL("../src/core/build/", import.meta.url));
const document = parse(readFileSync(`${folder}templates.yaml`, "utf8"));
writeFileSync(
  `${folder}built-in-templates.ts`,
  `// Written by \`npm run templates\` from templates.yaml.
import { parseTemplates } from "./parse-templates.js";
import type { Template } from "./templates.js";

/** The templates that come with the platform, in the order in which they are tried; what templates.yaml holds. */
export const builtInTemplates: readonly Template[] = /* @__PURE__ */ parseTemplates(
  ${JSON.stringify(document)},
  "the built-in templates",
);
`,
);
