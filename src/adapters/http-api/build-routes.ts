import { createRoute, z } from "@hono/zod-openapi";
import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { keepWaiting } from "./long-answer.js";
import { openArchiveUpload } from "./request-body.js";
import { answer, binary, failure, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** Builds: code that is uploaded, and what became of it. */

export const buildLogSchema = z.object({ lines: z.array(z.string()).readonly() }).openapi("BuildLog");

const createBuildRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/builds",
  summary: "Upload built code: a .tar.gz, .tar, .zip, .war, .jar, or one program",
  description:
    "Answers when the image is stored, with status 102 meanwhile. The app need not exist. What is sent is recognized by its first bytes; `file` is " +
    "its name, by which a .war and a .jar are told from other zips. The error of a build that failed names it in " +
    "`details.buildId`.",
  security,
  request: {
    params: schema.appParams,
    headers: schema.writeHeaders,
    query: schema.buildQuery,
    body: {
      required: true,
      content: {
        "application/gzip": binary,
        "application/octet-stream": binary,
      },
    },
  },
  responses: { 201: answer("The finished build", schema.buildSchema), ...failure },
});

const fetchBuildRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/url-builds",
  summary: "Build code that the platform fetches from a URL",
  description:
    "As an upload, of what an http or https URL leads to; answers when the image is stored, with status 102 meanwhile. No " +
    "credentials are sent, and none may be in the URL; its query is neither stored nor shown. Only places of the public " +
    "internet and those that the operator allows are asked (DINP_FORBIDDEN), redirects included. `file` defaults to the " +
    "name in the URL.",
  security,
  request: {
    params: schema.appParams,
    headers: schema.writeHeaders,
    body: { required: true, content: { "application/json": { schema: schema.fetchBuildSchema } } },
  },
  responses: { 201: answer("The finished build", schema.buildSchema), ...failure },
});

const listBuildsRoute = createRoute({
  method: "get",
  path: "/v1/builds",
  summary: "Builds, newest first",
  security,
  request: { query: schema.buildsQuery },
  responses: { 200: answer("Builds", schema.pageOf(schema.buildSchema)), ...failure },
});

const getBuildRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/builds/{id}",
  summary: "One build",
  security,
  request: { params: schema.buildParams },
  responses: { 200: answer("The build", schema.buildSchema), ...failure },
});

const getBuildLogRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/builds/{id}/log",
  summary: "What the builder did, and why it failed",
  description: "Empty while the build runs. Lines hold names out of archives: they are text, never markup.",
  security,
  request: { params: schema.buildParams },
  responses: { 200: answer("The lines, without control characters", buildLogSchema), ...failure },
});

export function addBuilds(api: Api, { platform, heartbeatMs }: ApiOptions): void {
  api.openapi(createBuildRoute, async (c) => {
    const upload = openArchiveUpload(c.env, heartbeatMs);
    try {
      const options = writeOptions(c, c.req.valid("header")["idempotency-key"], upload.signal);
      const { file, ...query } = c.req.valid("query");
      const request = { bytes: upload.bytes, fileName: file, ...query };
      return c.json(await platform.createBuild(c.req.valid("param").app, request, options), 201);
    } finally {
      upload.end();
    }
  });

  api.openapi(fetchBuildRoute, async (c) => {
    const waiting = keepWaiting(c.env, heartbeatMs);
    try {
      const options = writeOptions(c, c.req.valid("header")["idempotency-key"], waiting.signal);
      const { file, ...request } = c.req.valid("json");
      const { app } = c.req.valid("param");
      return c.json(await platform.createBuild(app, { ...request, fileName: file }, options), 201);
    } finally {
      waiting.end();
    }
  });

  api.openapi(listBuildsRoute, async (c) => c.json(await platform.pageBuilds(c.req.valid("query")), 200));

  api.openapi(getBuildRoute, async (c) => {
    const { app, id } = c.req.valid("param");
    return c.json(await platform.getBuild(app, id), 200);
  });

  api.openapi(getBuildLogRoute, async (c) => {
    const { app, id } = c.req.valid("param");
    return c.json(await platform.getBuildLog(app, id), 200);
  });
}
