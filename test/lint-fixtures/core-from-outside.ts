// --- src/core/loops/a.ts breaks dinp/folder-imports (node)
export { createHash } from "node:crypto";

// --- src/core/loops/a.ts breaks dinp/folder-imports (node)
export { readFile } from "fs/promises";

// --- src/core/model/a.ts breaks dinp/folder-imports (node)
export type Hash = import("node:crypto").Hash;

// --- src/core/platform/a.ts breaks dinp/folder-imports (package)
export { nanoid } from "nanoid";

// --- src/core/platform/a.ts breaks dinp/folder-imports (driver)
export { z } from "zod";

// --- src/core/loops/a.ts breaks dinp/folder-imports (driver)
export const load = () => import("kysely");

// --- src/core/loops/a.ts breaks dinp/folder-imports (computed)
export const load = (name: string) => import(name);

// --- src/core/testing/a.ts breaks dinp/folder-imports (package)
export { test } from "vitest";

// --- src/core/loops/a.ts breaks dinp/folder-imports (publicName)
export { DinpError } from "@dinp/core";

// --- src/core/loops/a.ts is legal
export const load = () => import("../plan/b.js");
