// --- src/core/model/a.ts breaks dinp/folder-imports (folder)
export { b } from "../ports/b.js";

// --- src/core/model/a.ts is legal
export { b } from "./b.js";

// --- src/core/ports/a.ts breaks dinp/folder-imports (folder)
export { b } from "../plan/b.js";

// --- src/core/ports/a.ts is legal
export { b } from "../model/b.js";

// --- src/core/plan/a.ts breaks dinp/folder-imports (folder)
export { b } from "../routing/b.js";

// --- src/core/plan/deeper/a.ts breaks dinp/folder-imports (folder)
export type { B } from "../../loops/b.js";

// --- src/core/plan/a.ts breaks dinp/folder-imports (folder)
export * from "../index.js";

// --- src/core/plan/deeper/a.ts is legal
export { b } from "../b.js";
export { c } from "../../model/c.js";
export type { D } from "../../ports/d.js";

// --- src/core/routing/a.ts breaks dinp/folder-imports (folder)
export { b } from "../probing/b.js";

// --- src/core/routing/a.ts is legal
export { b } from "../ports/b.js";

// --- src/core/probing/a.ts breaks dinp/folder-imports (folder)
export { b } from "../plan/b.js";

// --- src/core/probing/a.ts is legal
export { b } from "../model/b.js";

// --- src/core/build/a.ts breaks dinp/folder-imports (folder)
export { b } from "../platform/b.js";

// --- src/core/build/a.ts is legal
export { b } from "../ports/b.js";

// --- src/core/platform/a.ts breaks dinp/folder-imports (folder)
export { b } from "../loops/b.js";

// --- src/core/platform/a.ts breaks dinp/folder-imports (folder)
export { b } from "../plan/b.js";

// --- src/core/platform/a.ts is legal
export { b } from "../build/b.js";

// --- src/core/loops/a.ts breaks dinp/folder-imports (folder)
export { b } from "../testing/b.js";

// --- src/core/loops/a.ts breaks dinp/folder-imports (folder)
export { b } from "../../adapters/memory/b.js";

// --- src/core/loops/a.ts is legal
export { b } from "../plan/b.js";
export { c } from "../routing/c.js";
export { d } from "../probing/d.js";
export { e } from "../build/e.js";
export { f } from "../platform/f.js";

// --- src/core/index.ts breaks dinp/folder-imports (folder)
export * from "./testing/index.js";

// --- src/core/index.ts is legal
export * from "./loops/index.js";

// --- src/core/testing/a.ts breaks dinp/folder-imports (folder)
export { b } from "../../adapters/memory/b.js";

// --- src/core/testing/a.ts is legal
import { readFile } from "node:fs/promises";
export { b } from "../loops/b.js";
export { c } from "../index.js";
export const read = readFile;

// --- src/core/unknown/a.ts breaks dinp/folder-imports (noRow)
export { b } from "../model/b.js";

// --- src/adapters/a.ts breaks dinp/folder-imports (noRow)
export { b } from "@dinp/core";
