import type { NewToken } from "@dinp/core";
import { createClient } from "@dinp/core/client";
import { expect, it } from "vitest";
import { createApiWorld, type RawRequest } from "./http-api-world.js";

it("a router's token reaches the registration of routers, and nothing else that needs one", async () => {
  await using api = await createApiWorld();
  await api.world.push("hello");
  const { secret } = (await api.json({ method: "POST", path: "/v1/router-tokens" })).body as NewToken;
  const { paths } = (await api.json({ method: "GET", path: "/openapi.json" })).body as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: unknown }>>>>;
  };
  const before = await api.world.store.snapshot({ kinds: ["setting"] });
  const requests: RawRequest[] = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { security }]) => security !== undefined)
      .map(([method]) => ({ method: method.toUpperCase(), path: path.replace(/\{[a-z]+\}/g, "hello") })),
  );
  expect(requests.length).toBeGreaterThan(30);
  const reached: string[] = [];
  for (const request of requests) {
    const hasBody = /^P(?:UT|OST|ATCH)$/.test(request.method);
    const answer = await api.json({ ...request, ...(hasBody ? { json: {} } : {}), token: secret });
    if (answer.status !== 403) reached.push(`${request.method} ${request.path} ${String(answer.status)}`);
  }
  expect(reached).toEqual(["PUT /v1/routers/hello 200"]);
  const unknown = await api.json({ method: "GET", path: "/v1/nothing", token: secret });
  expect(unknown.status).toBe(403);
  const after = await api.world.store.snapshot({ kinds: ["router"] });
  expect(after.records.map(({ key }) => key)).toEqual(["hello"]);
  expect(after.revision).toBe(before.revision + 1);
});

it("routers are registered, listed and forgotten through the client", async () => {
  await using api = await createApiWorld();
  const { client, url } = api;
  const { id, secret } = await client.createRouterToken();
  expect((await client.listRouterTokens()).map((token) => token.id)).toEqual([id]);
  const router = createClient({ url, token: secret });
  const registered = await router.registerRouter("edge-1", { address: "10.0.0.7" });
  expect(registered).toEqual({
    ...{ id: "edge-1", address: "10.0.0.7", registeredAt: registered.registeredAt },
    ...{ acknowledged: null, behind: null, busy: null, holdsUp: null },
  });
  expect(await router.registerRouter("edge-1", { address: "10.0.0.7" })).toEqual(registered);
  expect(await client.listRouters()).toEqual([registered]);
  await expect(client.forgetRouter("edge-1")).rejects.toMatchObject({ code: "DINP_CONFIRMATION_REQUIRED" });
  await client.forgetRouter("edge-1", { confirm: true });
  expect(await client.listRouters()).toEqual([]);
  await client.revokeRouterToken(id);
  await expect(router.registerRouter("edge-1")).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
  const bad = await api.json({ method: "PUT", path: "/v1/routers/a%20b", json: {} });
  expect([bad.status, bad.body]).toMatchObject([400, { error: { code: "DINP_INVALID" } }]);
  const other = await api.json({ method: "PUT", path: "/v1/routers/a", json: { adress: "x" } });
  expect(other.status).toBe(400);
});
