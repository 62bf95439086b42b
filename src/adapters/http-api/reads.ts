import type { DinpError } from "@dinp/core";
import type { Context } from "hono";
import type { Api, ApiEnv, AppOptions } from "./app.js";
import { publicError } from "./errors.js";
import * as routes from "./routes.js";

/** Endpoints that change nothing. */
export function addReads(api: Api, { platform, logger, streams }: AppOptions): void {
  const lines = async (
    c: Context<ApiEnv>,
    source: (signal: AbortSignal) => AsyncIterable<unknown>,
  ): Promise<Response> => {
    const describe = (error: unknown): DinpError => publicError(error, c.get("requestId"), logger);
    const stream = await streams.open(source, describe, c.env.outgoing);
    return c.body(stream, 200, { "content-type": "application/x-ndjson" });
  };

  api.openapi(routes.sessionRoute, (c) => {
    const { subject, role } = c.get("caller");
    return c.json({ subject, role }, 200);
  });

  api.openapi(routes.listAppsRoute, async (c) => c.json({ items: await platform.listApps() }, 200));

  api.openapi(routes.getAppRoute, async (c) => c.json(await platform.getApp(c.req.valid("param").app), 200));

  api.openapi(routes.getBuildRoute, async (c) => {
    const { app, id } = c.req.valid("param");
    return c.json(await platform.getBuild(app, id), 200);
  });

  api.openapi(routes.listReleasesRoute, async (c) =>
    c.json({ items: await platform.listReleases(c.req.valid("param").app) }, 200),
  );

  api.openapi(routes.getRolloutRoute, async (c) => {
    const { app, number } = c.req.valid("param");
    if (c.req.valid("query").follow === true) {
      return lines(c, (signal) => platform.followRollout(app, number, { signal }));
    }
    return c.json(await platform.getRollout(app, number), 200);
  });

  api.openapi(routes.getEnvRoute, async (c) => c.json(await platform.getEnv(c.req.valid("param").app), 200));

  api.openapi(routes.listDomainsRoute, async (c) =>
    c.json({ items: await platform.listDomains(c.req.valid("param").app) }, 200),
  );

  api.openapi(routes.logsRoute, (c) => {
    const { app } = c.req.valid("param");
    const request = c.req.valid("query");
    return lines(c, (signal) => platform.logs(app, request, { signal }));
  });

  api.openapi(routes.listNodesRoute, async (c) => c.json({ items: await platform.listNodes() }, 200));

  api.openapi(routes.listEventsRoute, async (c) => {
    const { follow, ...request } = c.req.valid("query");
    if (follow === true) return lines(c, (signal) => platform.followEvents(request, { signal }));
    return c.json({ items: await platform.listEvents(request) }, 200);
  });
}
