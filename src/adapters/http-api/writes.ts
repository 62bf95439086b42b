import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { keepWaiting } from "./long-answer.js";
import * as routes from "./routes.js";

const KEY = "idempotency-key";

/** Endpoints that change what is wanted. A write that has begun is not broken off when its client goes. */
export function addWrites(api: Api, { platform, heartbeatMs }: ApiOptions): void {
  api.openapi(routes.scaleAppRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.scaleApp(c.req.valid("param").app, c.req.valid("json"), options), 200);
  });

  api.openapi(routes.startAppRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.startApp(c.req.valid("param").app, options), 200);
  });

  api.openapi(routes.stopAppRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.stopApp(c.req.valid("param").app, options), 200);
  });

  api.openapi(routes.deleteAppRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.deleteApp(c.req.valid("param").app, c.req.valid("query"), options), 200);
  });

  api.openapi(routes.createReleaseRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    // An image may have to be fetched from another registry.
    const waiting = keepWaiting(c.env, heartbeatMs);
    try {
      const { app } = c.req.valid("param");
      return c.json(await platform.createRelease(app, c.req.valid("json"), options), 201);
    } finally {
      waiting.end();
    }
  });

  api.openapi(routes.rollbackRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.rollback(c.req.valid("param").app, c.req.valid("json"), options), 201);
  });

  api.openapi(routes.setGrantsRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.setGrants(c.req.valid("param").app, c.req.valid("json"), options), 201);
  });

  api.openapi(routes.changeEnvRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.changeEnv(c.req.valid("param").app, c.req.valid("json"), options), 201);
  });

  api.openapi(routes.addDomainRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.addDomain(c.req.valid("param").app, c.req.valid("json"), options), 201);
  });

  api.openapi(routes.removeDomainRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")[KEY]);
    return c.json(await platform.removeDomain(c.req.valid("param").app, c.req.valid("query"), options), 200);
  });
}
