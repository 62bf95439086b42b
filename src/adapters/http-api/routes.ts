import { createRoute } from "@hono/zod-openapi";
import {
  answer,
  answerInLines,
  answerOrLines,
  failure,
  jsonBody,
  security,
  streamFailure,
} from "./route-parts.js";
import * as schema from "./schema.js";

/** What each endpoint takes and gives: the source of both the validation and `/openapi.json`. */

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
  summary: "Apps, by name",
  security,
  request: { query: schema.appsQuery },
  responses: { 200: answer("Apps", schema.pageOf(schema.appSchema)), ...failure },
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
  request: { ...write, body: jsonBody(schema.scaleRequestSchema) },
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

export const createReleaseRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/releases",
  summary: "Release a build or an image that exists; makes the app when there is none",
  description:
    "Exactly one of `buildId` and `image` (REPOSITORY:TAG or REPOSITORY@sha256:…, looked up once). What the request does not say comes from the manifest, else from the current release.",
  security,
  request: { ...write, body: jsonBody(schema.releaseRequestSchema) },
  responses: { 201: answer("The current release now", schema.releaseResultSchema), ...failure },
});

export const listReleasesRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/releases",
  summary: "Releases, newest first",
  security,
  request: { ...app, query: schema.pageQuery },
  responses: { 200: answer("Releases", schema.pageOf(schema.releaseSchema)), ...failure },
});

export const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/rollback",
  summary: "Make a new release out of an old one",
  description: "Default: the newest other release that ran well.",
  security,
  request: { ...write, body: jsonBody(schema.rollbackRequestSchema) },
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
  summary: "Variables with their values, and secrets without",
  security,
  request: app,
  responses: { 200: answer("Variables", schema.envSchema), ...failure },
});

export const changeEnvRoute = createRoute({
  method: "patch",
  path: "/v1/apps/{app}/env",
  summary: "Set and unset variables and secrets; makes a release",
  security,
  request: { ...write, body: jsonBody(schema.envRequestSchema) },
  responses: { 201: answer("The current release now", schema.releaseResultSchema), ...failure },
});

export const getGrantsRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/grants",
  summary: "What the app may do beyond the runtime's defaults",
  security,
  request: app,
  responses: { 200: answer("Grants; empty: nothing", schema.grantsSchema), ...failure },
});

export const setGrantsRoute = createRoute({
  method: "put",
  path: "/v1/apps/{app}/grants",
  summary: "Let the app do exactly this beyond the defaults; makes a release",
  description: "For admins alone. Belongs to the app: going back to an older release changes nothing of it.",
  security,
  request: { ...write, body: jsonBody(schema.grantsRequestSchema) },
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
  request: { ...write, body: jsonBody(schema.domainRequestSchema) },
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
    200: answerInLines("Lines", schema.logLineSchema),
    ...streamFailure,
  },
});

export const listInstancesRoute = createRoute({
  method: "get",
  path: "/v1/instances",
  summary: "Instances, by id",
  security,
  request: { query: schema.instancesQuery },
  responses: { 200: answer("Instances", schema.pageOf(schema.nodeInstanceSchema)), ...failure },
});

export const listNodesRoute = createRoute({
  method: "get",
  path: "/v1/nodes",
  summary: "Nodes and what is reserved on them",
  security,
  responses: { 200: answer("Nodes", schema.listOf(schema.nodeSchema)), ...failure },
});

export const listTemplatesRoute = createRoute({
  method: "get",
  path: "/v1/templates",
  summary: "What apps can be made of, in the order in which it is tried",
  security,
  responses: { 200: answer("Templates", schema.listOf(schema.templateSchema)), ...failure },
});

export const listEventsRoute = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "What happened, oldest first",
  description:
    "The newest so many; `next` leads to older ones. With `follow=true`: then every new event, without an end; `app` and " +
    "`limit` count then.",
  security,
  request: { query: schema.eventsQuery },
  responses: {
    200: answerOrLines("Events", schema.pageOf(schema.eventSchema), schema.eventSchema),
    ...streamFailure,
  },
});
