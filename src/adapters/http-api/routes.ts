import { createRoute, z } from "@hono/zod-openapi";
import * as schema from "./schema.js";

/** What each endpoint takes and gives: the source of both the validation and `/openapi.json`. */

const failure = {
  default: {
    description: "An error: its code says which",
    content: { "application/json": { schema: schema.errorSchema } },
  },
};

/** An entry without a schema is what lets a handler answer with a stream. */
const streamFailure = { 401: { description: "The token is missing or not valid" }, ...failure };

function answer<T extends z.ZodType>(description: string, of: T) {
  return { description, content: { "application/json": { schema: of } } };
}

function body<T extends z.ZodType>(of: T) {
  return { required: true, content: { "application/json": { schema: of } } };
}

/** One value, or a stream of them as JSON lines (`follow=true`). */
function answerOrLines<T extends z.ZodType, L extends z.ZodType>(description: string, of: T, line: L) {
  return {
    description,
    content: {
      "application/json": { schema: of },
      "application/x-ndjson": { schema: z.union([line, schema.heartbeatSchema, schema.errorSchema]) },
    },
  };
}

const security = [{ token: [] }];
const app = { params: schema.appParams };
const write = { params: schema.appParams, headers: schema.writeHeaders };

export const infoRoute = createRoute({
  method: "get",
  path: "/v1/info",
  summary: "What platform this is",
  responses: { 200: answer("Needs no token", schema.infoSchema), ...failure },
});

export const sessionRoute = createRoute({
  method: "get",
  path: "/v1/session",
  summary: "Whose token this is",
  security,
  responses: { 200: answer("The token is valid", schema.sessionSchema), ...failure },
});

export const listAppsRoute = createRoute({
  method: "get",
  path: "/v1/apps",
  summary: "All apps, by name",
  security,
  responses: { 200: answer("Apps", schema.listOf(schema.appSchema)), ...failure },
});

export const getAppRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}",
  summary: "One app with its instances",
  security,
  request: app,
  responses: { 200: answer("The app", schema.appDetailSchema), ...failure },
});

export const scaleAppRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}",
  summary: "Set how many instances run",
  security,
  request: { ...write, body: body(schema.scaleRequestSchema) },
  responses: { 200: answer("The app as it is wanted now", schema.appSchema), ...failure },
});

export const startAppRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/start",
  summary: "Start a stopped app",
  security,
  request: write,
  responses: { 200: answer("The app as it is wanted now", schema.appSchema), ...failure },
});

export const stopAppRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/stop",
  summary: "Stop all instances; settings stay",
  security,
  request: write,
  responses: { 200: answer("The app as it is wanted now", schema.appSchema), ...failure },
});

export const deleteAppRoute = createRoute({
  method: "delete",
  path: "/v1/apps/{app}",
  summary: "Delete an app and all that it owns",
  description:
    "After many deletions within ten minutes, `confirm=true` is needed (DINP_CONFIRMATION_REQUIRED).",
  security,
  request: { ...write, query: schema.deleteQuery },
  responses: { 200: answer("The deletion is committed", schema.deletedSchema), ...failure },
});

export const createBuildRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/builds",
  summary: "Upload built code as a .tar.gz",
  description: "Answers when the image is stored. The app need not exist.",
  security,
  request: {
    ...write,
    query: schema.buildQuery,
    body: {
      required: true,
      content: { "application/gzip": { schema: z.string().openapi({ format: "binary" }) } },
    },
  },
  responses: { 201: answer("The finished build", schema.buildSchema), ...failure },
});

export const getBuildRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/builds/{id}",
  summary: "One build",
  security,
  request: { params: schema.buildParams },
  responses: { 200: answer("The build", schema.buildSchema), ...failure },
});

export const createReleaseRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/releases",
  summary: "Release a build; makes the app when there is none",
  description: "What the request does not say comes from the manifest, else from the current release.",
  security,
  request: { ...write, body: body(schema.releaseRequestSchema) },
  responses: { 201: answer("The current release now", schema.releaseResultSchema), ...failure },
});

export const listReleasesRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/releases",
  summary: "Releases, newest first",
  security,
  request: app,
  responses: { 200: answer("Releases", schema.listOf(schema.releaseSchema)), ...failure },
});

export const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/rollback",
  summary: "Make a new release out of an old one",
  description: "Default: the newest other release that ran well.",
  security,
  request: { ...write, body: body(schema.rollbackRequestSchema) },
  responses: { 201: answer("The current release now", schema.releaseResultSchema), ...failure },
});

export const getRolloutRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/rollouts/{number}",
  summary: "How far a release has come",
  description: "With `follow=true`: at each change, until the rollout has ended.",
  security,
  request: { params: schema.rolloutParams, query: schema.rolloutQuery },
  responses: {
    200: answerOrLines("The rollout", schema.rolloutSchema, schema.rolloutSchema),
    ...streamFailure,
  },
});

export const getEnvRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/env",
  summary: "Variables with their values",
  security,
  request: app,
  responses: { 200: answer("Variables", schema.envSchema), ...failure },
});

export const changeEnvRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}/env",
  summary: "Set and unset variables; makes a release",
  security,
  request: { ...write, body: body(schema.envRequestSchema) },
  responses: { 201: answer("The current release now", schema.releaseResultSchema), ...failure },
});

export const listDomainsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/domains",
  summary: "Domains besides the platform's own",
  security,
  request: app,
  responses: { 200: answer("Domains", schema.listOf(schema.domainSchema)), ...failure },
});

export const addDomainRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/domains",
  summary: "Let the app answer at a domain",
  security,
  request: { ...write, body: body(schema.domainRequestSchema) },
  responses: { 201: answer("The domain in the form that is kept", schema.domainSchema), ...failure },
});

export const removeDomainRoute = createRoute({
  method: "delete",
  path: "/v1/apps/{app}/domains",
  summary: "Take a domain from the app",
  security,
  request: { ...write, query: schema.domainQuery },
  responses: { 200: answer("It is gone", schema.deletedSchema), ...failure },
});

export const logsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/logs",
  summary: "What the app wrote",
  description: "JSON lines; each instance's in order. With `follow=true` without an end.",
  security,
  request: { params: schema.appParams, query: schema.logsQuery },
  responses: {
    200: {
      description: "Lines",
      content: {
        "application/x-ndjson": {
          schema: z.union([schema.logLineSchema, schema.heartbeatSchema, schema.errorSchema]),
        },
      },
    },
    ...streamFailure,
  },
});

export const listNodesRoute = createRoute({
  method: "get",
  path: "/v1/nodes",
  summary: "Nodes and what is reserved on them",
  security,
  responses: { 200: answer("Nodes", schema.listOf(schema.nodeSchema)), ...failure },
});

export const listEventsRoute = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "What happened, oldest first",
  description: "With `follow=true`: then every new event, without an end.",
  security,
  request: { query: schema.eventsQuery },
  responses: {
    200: answerOrLines("Events", schema.listOf(schema.eventSchema), schema.eventSchema),
    ...streamFailure,
  },
});
