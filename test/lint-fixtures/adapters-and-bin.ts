// --- src/adapters/memory/a.ts breaks dinp/folder-imports (reachesIn)
export { DinpError } from "../../core/index.js";

// --- src/adapters/memory/deeper/a.ts breaks dinp/folder-imports (reachesIn)
export type { App } from "../../../core/model/records.js";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../pglite/b.js";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../../bin/b.js";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (publicName)
export { b } from "@dinp/core/pglite";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (publicName)
export { b } from "@dinp/core/testing";

// --- src/adapters/http-api/a.ts breaks dinp/folder-imports (publicName)
export { b } from "@dinp/core/client";

// --- src/adapters/memory/deeper/a.ts is legal
export { DinpError } from "@dinp/core";
export { b } from "../b.js";
export { readFile } from "node:fs/promises";

// --- src/adapters/pglite/a.ts is legal
export { b } from "../sql/b.js";
export { createTarArchive } from "@dinp/core/tar";

// --- src/adapters/pglite/a.ts breaks dinp/folder-imports (publicName)
export { createZipArchive } from "@dinp/core/zip";

// --- src/adapters/postgres/a.ts breaks dinp/folder-imports (publicName)
export { createTarArchive } from "@dinp/core/tar";

// --- src/adapters/process/a.ts is legal
export { b } from "../runtime/b.js";

// --- src/adapters/docker/deeper/a.ts is legal
export { b } from "../../runtime/b.js";

// --- src/adapters/docker/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../process/b.js";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../runtime/b.js";

// --- src/adapters/runtime/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../docker/b.js";

// --- src/adapters/cli/a.ts is legal
export { connect } from "@dinp/core/client";
export { Command } from "commander";
export { parse } from "yaml";

// --- src/adapters/cli/a.ts breaks dinp/folder-imports (reachesIn)
export { connect } from "../http-api/client.js";

// --- src/adapters/dash/page/a.tsx is legal
export { createClient } from "@dinp/core/client";
export { DinpError } from "@dinp/core";
export { render } from "preact";
export { useState } from "preact/hooks";

// --- src/adapters/dash/page/a.ts breaks dinp/folder-imports (node)
export { readFile } from "node:fs/promises";

// --- src/adapters/dash/a.ts breaks dinp/folder-imports (driver)
export { render } from "preact";

// --- src/adapters/dash/a.ts is legal
export { createServer } from "node:http";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export { b } from "http-proxy";

// --- src/adapters/http-proxy/a.ts is legal
export { b } from "http-proxy";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export const load = () => import("@electric-sql/pglite");

// --- src/adapters/sql/a.ts breaks dinp/folder-imports (driver)
export const load = () => import("@electric-sql/pglite/contrib/amcheck");

// --- src/adapters/pglite/a.ts is legal
export const load = () => import("@electric-sql/pglite");
export { sql } from "kysely";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export { sql } from "kysely";

// --- src/adapters/sql/a.ts is legal
export { sql } from "kysely";

// --- src/adapters/sql/a.ts breaks dinp/folder-imports (driver)
export { Pool } from "pg";

// --- src/adapters/postgres/a.ts is legal
export { Pool } from "pg";

// --- src/adapters/sql/a.ts breaks dinp/folder-imports (driver)
export { createConnection } from "mysql2";

// --- src/adapters/mysql/a.ts is legal
export { createConnection } from "mysql2";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export { Redis } from "ioredis";

// --- src/adapters/redis/a.ts is legal
export { Redis } from "ioredis";

// --- src/adapters/http/c.ts breaks dinp/folder-imports (driver)
export { WebSocket } from "ws";

// --- src/adapters/websocket/a.ts is legal
export { WebSocket } from "ws";
export { object } from "zod";

// --- src/adapters/tar/a.ts breaks dinp/folder-imports (driver)
export { open } from "yauzl";

// --- src/adapters/zip/a.ts is legal
export { open } from "yauzl";

// --- src/adapters/http/b.ts breaks dinp/folder-imports (driver)
export { Agent } from "undici";

// --- src/adapters/oci/a.ts breaks dinp/folder-imports (driver)
export { Agent } from "undici";

// --- src/adapters/url-fetch/a.ts is legal
export { Client } from "undici";

// --- src/adapters/process/a.ts breaks dinp/folder-imports (driver)
export { default } from "dockerode";

// --- src/adapters/docker/a.ts is legal
export { default } from "dockerode";

// --- src/adapters/cli/a.ts breaks dinp/folder-imports (driver)
export { Hono } from "hono";

// --- src/adapters/http/a.ts breaks dinp/folder-imports (driver)
export { serve } from "@hono/node-server";

// --- src/adapters/http/a.ts breaks dinp/folder-imports (driver)
export { z } from "@hono/zod-openapi";

// --- src/adapters/http/a.ts breaks dinp/folder-imports (driver)
export type { ZodType } from "zod";

// --- src/adapters/http-api/a.ts is legal
export { Hono } from "hono";
export { HTTPException } from "hono/http-exception";
export { serve } from "@hono/node-server";
export { createRoute } from "@hono/zod-openapi";
export { z } from "zod";
export { parse } from "yaml";

// --- src/adapters/file/a.ts is legal
export { strictObject } from "zod";

// --- src/adapters/http-api/a.ts breaks dinp/folder-imports (driver)
export { Command } from "commander";

// --- src/adapters/http-api/a.ts breaks dinp/folder-imports (driver)
export { pino } from "pino";

// --- src/adapters/system/a.ts is legal
export { pino } from "pino";

// --- src/adapters/system/a.ts breaks dinp/folder-imports (driver)
export { Registry } from "prom-client";

// --- src/adapters/prometheus/a.ts is legal
export { Registry } from "prom-client";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export { parse } from "yaml";

// --- src/adapters/yaml/a.ts is legal
export { parse } from "yaml";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
export { container } from "tsyringe";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (driver)
import "reflect-metadata";

// --- src/adapters/memory/a.ts breaks dinp/folder-imports (package)
export { nanoid } from "nanoid";

// --- src/bin/a.ts is legal
import "reflect-metadata";
export { container } from "tsyringe";
export { DinpError } from "@dinp/core";
export { b } from "@dinp/core/http-api";
export { c } from "./c.js";
export { readFile } from "node:fs/promises";

// --- src/bin/a.ts breaks dinp/folder-imports (driver)
export { Command } from "commander";

// --- src/bin/a.ts breaks dinp/folder-imports (reachesIn)
export { b } from "../adapters/memory/b.js";
