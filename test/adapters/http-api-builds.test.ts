import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { DinpError, type Builder, type BuildView } from "@dinp/core";
import { createClient } from "@dinp/core/client";
import { describe, expect, it } from "vitest";
import { archiveOf, nodeApp } from "../platform/world.js";
import { createApiWorld } from "./http-api-world.js";

describe("HTTP API: builds", () => {
  it("gives the log of a failed build as text that no browser takes for a page", async () => {
    const builder: Builder = {
      templates: [],
      build: ({ log }) => {
        log?.("a name: <br><script>alert(1)</script>\u001b[2J\u0000\r\n\u202e");
        return Promise.reject(new DinpError("DINP_ARCHIVE_REFUSED", "It is refused."));
      },
    };
    await using api = await createApiWorld({}, { builder });
    const upload = api.client.createBuild("hello", archiveOf(nodeApp));
    await expect(upload).rejects.toMatchObject({ details: { buildId: expect.any(String) as string } });
    const id = (await api.client.pageBuilds()).items[0]?.id ?? "";
    const answer = await api.json({ method: "GET", path: `/v1/apps/hello/builds/${id}/log` });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
    });
    expect(answer.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(await api.client.getBuildLog("hello", id)).toEqual({
      lines: [
        "a name: <br><script>alert(1)</script>\ufffd[2J\ufffd\ufffd\ufffd\ufffd",
        expect.stringMatching(/^failed after .* It is refused\. \(DINP_ARCHIVE_REFUSED\)$/),
      ],
    });
    const elsewhere = await api.raw({ method: "GET", path: `/v1/apps/other/builds/${id}/log` });
    expect(elsewhere.status).toBe(404);
  });

  it("lists builds of all apps or one, page by page", async () => {
    await using api = await createApiWorld();
    for (const app of ["a", "b", "a"]) {
      await api.world.build(app);
      api.world.clock.offsetMs += 1_000;
    }
    const first = await api.json({ method: "GET", path: "/v1/builds?limit=2" });
    const { items, next } = first.body as { items: BuildView[]; next: string };
    expect(items.map(({ app }) => app)).toEqual(["a", "b"]);
    expect(await api.client.pageBuilds({ limit: 2, cursor: next })).toMatchObject({
      items: [{ app: "a" }],
      next: null,
    });
    expect((await api.client.pageBuilds({ app: "a", state: "succeeded" })).items).toHaveLength(2);
    for (const query of ["state=done", "app=A_B", "limit=0", "cursor=zz", "other=1"]) {
      expect((await api.raw({ method: "GET", path: `/v1/builds?${query}` })).status, query).toBe(400);
    }
  });

  it("shows through any server that an upload is at work, however long its build says nothing", async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const builder: Builder = {
      templates: [],
      build: async () => {
        await released;
        throw new DinpError("DINP_ARCHIVE_REFUSED", "It is refused at last.");
      },
    };
    await using leader = await createApiWorld({ heartbeatMs: 5 }, { builder });
    const { url, world } = leader;
    await using follower = await createApiWorld({ peers: { leads: () => false, leaderUrl: () => url } });
    const client = createClient({ url: follower.url, token: world.secret });
    const sent = expect(client.createBuild("sent", archiveOf(nodeApp))).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
    });
    const headers = { authorization: `Bearer ${world.secret}`, "content-type": "application/gzip" };
    const asking = request(`${follower.url}/v1/apps/hello/builds`, { method: "POST", headers });
    asking.end("x");
    for (let seen = 0; seen < 3; seen += 1) {
      const [interim] = (await once(asking, "information")) as [{ readonly statusCode: number }];
      expect(interim.statusCode).toBe(102);
    }
    release();
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(422);
    answer.resume();
    await sent;
  });
});
