import { answerLines, type Api, type ApiOptions } from "./api-context.js";
import * as routes from "./routes.js";

/** Endpoints that change nothing. */
export function addReads(api: Api, options: ApiOptions): void {
  const { platform } = options;

  api.openapi(routes.sessionRoute, (c) => {
    const { subject, role } = c.get("caller");
    return c.json({ subject, role }, 200);
  });

  api.openapi(routes.listAppsRoute, async (c) => c.json(await platform.pageApps(c.req.valid("query")), 200));

  api.openapi(routes.listInstancesRoute, async (c) =>
    c.json(await platform.pageInstances(c.req.valid("query")), 200),
  );

  api.openapi(routes.getAppRoute, async (c) => c.json(await platform.getApp(c.req.valid("param").app), 200));

  api.openapi(routes.listReleasesRoute, async (c) =>
    c.json(await platform.pageReleases(c.req.valid("param").app, c.req.valid("query")), 200),
  );

  api.openapi(routes.getRolloutRoute, async (c) => {
    const { app, number } = c.req.valid("param");
    if (c.req.valid("query").follow === true) {
      return answerLines(c, options, (signal) => platform.followRollout(app, number, { signal }));
    }
    return c.json(await platform.getRollout(app, number), 200);
  });

  api.openapi(routes.getGrantsRoute, async (c) =>
    c.json(await platform.getGrants(c.req.valid("param").app), 200),
  );
  api.openapi(routes.getEnvRoute, async (c) => c.json(await platform.getEnv(c.req.valid("param").app), 200));

  api.openapi(routes.listDomainsRoute, async (c) =>
    c.json({ items: await platform.listDomains(c.req.valid("param").app) }, 200),
  );

  api.openapi(routes.logsRoute, (c) => {
    const { app } = c.req.valid("param");
    const request = c.req.valid("query");
    return answerLines(c, options, (signal) => platform.logs(app, request, { signal }));
  });

  api.openapi(routes.listNodesRoute, async (c) => c.json({ items: await platform.listNodes() }, 200));

  api.openapi(routes.listTemplatesRoute, (c) => c.json({ items: platform.listTemplates() }, 200));

  api.openapi(routes.listEventsRoute, async (c) => {
    const { follow, ...request } = c.req.valid("query");
    if (follow === true)
      return answerLines(c, options, (signal) => platform.followEvents(request, { signal }));
    return c.json(await platform.pageEvents(request), 200);
  });
}
