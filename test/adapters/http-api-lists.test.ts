import { describe, expect, it } from "vitest";
import { createApiWorld, type ApiWorld } from "./http-api-world.js";

interface Listing {
  readonly items: readonly { readonly name?: string; readonly id?: string; readonly number?: number }[];
  readonly next: string | null;
}

async function listing(api: ApiWorld, path: string): Promise<Listing> {
  const answer = await api.json({ method: "GET", path });
  expect(answer.status, answer.text).toBe(200);
  return answer.body as Listing;
}

/** What each page holds, until there is none. */
async function pages<T>(
  api: ApiWorld,
  path: string,
  of: (item: Listing["items"][number]) => T,
): Promise<T[][]> {
  const found: T[][] = [];
  for (let cursor = ""; ;) {
    const page = await listing(api, `${path}${cursor}`);
    found.push(page.items.map(of));
    if (page.next === null) return found;
    cursor = `&cursor=${page.next}`;
  }
}

describe("HTTP API: lists in pages", () => {
  it("apps come by name, each once, also while others come and go", async () => {
    await using api = await createApiWorld();
    for (const name of ["b", "d", "a", "e", "c"]) await api.world.push(name);
    expect(await pages(api, "/v1/apps?limit=2", ({ name }) => name)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    const first = await listing(api, "/v1/apps?limit=2");
    await api.client.deleteApp("b");
    await api.world.push("bb");
    const second = await listing(api, `/v1/apps?limit=2&cursor=${first.next ?? ""}`);
    expect(second.items.map(({ name }) => name)).toEqual(["bb", "c"]);
    expect((await api.client.listApps()).map(({ name }) => name)).toEqual(["a", "b", "bb", "c", "d", "e"]);
  });

  it("filters apps by state and name, instances by app, phase and node", async () => {
    await using api = await createApiWorld();
    for (const name of ["shop", "shop-2", "other"]) await api.world.push(name);
    await api.client.stopApp("shop-2");
    await api.world.place("shop", "i-1", true);
    await api.world.place("other", "i-2", false);
    const names = async (query: string): Promise<unknown> =>
      (await listing(api, `/v1/apps?${query}`)).items.map(({ name }) => name);
    expect(await names("prefix=shop")).toEqual(["shop", "shop-2"]);
    expect(await names("prefix=shop&state=stopped")).toEqual(["shop-2"]);
    const ids = async (query: string): Promise<unknown> =>
      (await listing(api, `/v1/instances?${query}`)).items.map(({ id }) => id);
    expect(await ids("")).toEqual(["i-1", "i-2"]);
    expect(await ids("app=shop")).toEqual(["i-1"]);
    expect(await ids("phase=starting")).toEqual(["i-2"]);
    expect(await ids("node=nobody")).toEqual([]);
    expect(await pages(api, "/v1/instances?limit=1", ({ id }) => id)).toEqual([["i-1"], ["i-2"]]);
  });

  it("releases come newest first, events from the newest page back, each page oldest first", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    for (let i = 0; i < 4; i += 1) await api.client.changeEnv("hello", { set: { A: String(i) } });
    const releases = await pages(api, "/v1/apps/hello/releases?limit=2", ({ number }) => number);
    expect(releases).toEqual([[5, 4], [3, 2], [1]]);
    expect(await api.client.listReleases("hello")).toHaveLength(5);
    const all = (await api.client.listEvents({ app: "hello" })).map(({ id }) => id);
    const read = await pages(api, "/v1/events?app=hello&limit=2", ({ id }) => id);
    expect(read.reverse().flat()).toEqual(all);
    const created = await api.client.pageEvents({ app: "hello", type: "release" });
    expect(created.items).toHaveLength(5);
    expect((await api.client.pageEvents({ type: "relea" })).items).toEqual([]);
    const at = created.items[2]?.at ?? 0;
    const since = (await api.client.pageEvents({ type: "release", since: at })).items;
    const until = (await api.client.pageEvents({ type: "release", until: at })).items;
    expect(since.every((event) => event.at >= at)).toBe(true);
    expect(until.every((event) => event.at < at)).toBe(true);
    expect(since.length + until.length).toBe(5);
  });

  it.each([
    "/v1/apps?limit=0",
    "/v1/apps?limit=1001",
    "/v1/apps?limit=-1",
    "/v1/apps?cursor=",
    "/v1/apps?cursor=zz",
    "/v1/apps?cursor=00",
    "/v1/builds?cursor=9007199254740993",
    "/v1/builds?cursor=7f",
    "/v1/apps?cursor=abc",
    `/v1/apps?cursor=${"ab".repeat(600)}`,
    "/v1/apps?state=odd",
    "/v1/instances?phase=odd",
    "/v1/events?since=yesterday",
    "/v1/events?cursor=%00",
  ])("refuses %s", async (path) => {
    await using api = await createApiWorld();
    const answer = await api.json({ method: "GET", path });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain("DINP_INVALID");
  });
});

describe("HTTP API: conditional requests (RFC 9110)", () => {
  it("tags every JSON answer to a GET, and answers 304 while it is the same", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    for (const path of ["/v1/apps", "/v1/apps/hello", "/v1/apps/hello/releases", "/v1/nodes", "/v1/events"]) {
      const first = await api.raw({ method: "GET", path });
      const etag = first.headers.etag ?? "";
      expect(etag).toMatch(/^"(\d+-)?[0-9a-f]{32}"$/);
      for (const value of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const same = await api.raw({ method: "GET", path, headers: { "if-none-match": value } });
        expect([same.status, same.text, same.headers.etag]).toEqual([304, "", etag]);
      }
      expect((await api.raw({ method: "HEAD", path })).headers.etag).toBe(etag);
      const other = await api.raw({ method: "GET", path, headers: { "if-none-match": '"other"' } });
      expect([other.status, other.text]).toEqual([200, first.text]);
    }
    const before = (await api.raw({ method: "GET", path: "/v1/apps/hello" })).headers.etag ?? "";
    await api.client.scaleApp("hello", { instances: 3 });
    const headers = { "if-none-match": before };
    expect((await api.raw({ method: "GET", path: "/v1/apps/hello", headers })).status).toBe(200);
    expect((await api.raw({ method: "GET", path: "/v1/apps/none" })).headers.etag).toBeUndefined();
  });

  it("writes an app only as it was read: else 412, and nothing is changed", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const path = "/v1/apps/hello";
    const tag = async (): Promise<string> => (await api.raw({ method: "GET", path })).headers.etag ?? "";
    const scale = (instances: number, ifMatch: string) =>
      api.json({ method: "PATCH", path, json: { instances }, headers: { "if-match": ifMatch } });
    const old = await tag();
    expect((await scale(2, old)).status).toBe(200);
    const stale = await scale(3, old);
    expect(stale.status).toBe(412);
    expect(stale.body).toMatchObject({
      error: { code: "DINP_CONFLICT", hint: expect.stringContaining("Read it again") as string },
    });
    const requests = [
      { method: "POST", path: `${path}/stop` },
      { method: "DELETE", path },
      { method: "PATCH", path: `${path}/env`, json: { set: { A: "1" } } },
      { method: "POST", path: `${path}/domains`, json: { host: "shop.example.com" } },
    ];
    for (const request of requests) {
      expect((await api.json({ ...request, headers: { "if-match": old } })).status).toBe(412);
    }
    expect(await api.client.getApp("hello")).toMatchObject({ instances: 2, desired: "running", domains: [] });
    // An instance that gets ready changes the answer, and not what is wanted.
    const read = await tag();
    await api.world.place("hello", "i-1", true);
    expect((await scale(4, read)).status).toBe(200);
    expect((await scale(5, "*")).status).toBe(200);
    const now = await tag();
    expect((await scale(6, `"x", ${old}, ${now}`)).status).toBe(200);
    for (const other of ['"x"', `W/${await tag()}`, `"x", ${old}`])
      expect((await scale(7, other)).status).toBe(412);
    for (const wrong of ["abc", '"x', '"x" "y"', ""]) expect((await scale(7, wrong)).status).toBe(400);
    const unless = { method: "PATCH", path, json: { instances: 7 }, headers: { "if-none-match": "*" } };
    expect((await api.json(unless)).status).toBe(400);
    expect((await api.client.getApp("hello")).instances).toBe(6);
  });

  it("lets one of many writers of the same reading through", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const path = "/v1/apps/hello";
    const etag = (await api.raw({ method: "GET", path })).headers.etag ?? "";
    const answers = await Promise.all(
      [2, 3, 4, 5, 6].map((instances) =>
        api.json({ method: "PATCH", path, json: { instances }, headers: { "if-match": etag } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412, 412]);
  });
});

describe("HTTP API: hostile values", () => {
  it.each([
    [{ instances: 1e9 }],
    [{ instances: -1 }],
    [{ instances: 1.5 }],
    [{ instances: "2" }],
    [{ instances: null }],
    [{ instances: [2] }],
    [{ instances: { valueOf: 2 } }],
    [{ instances: 2 ** 53 }],
  ])("refuses to scale to %j", async (json) => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const answer = await api.json({ method: "PATCH", path: "/v1/apps/hello", json });
    expect(answer.status).toBe(400);
    expect((await api.client.getApp("hello")).instances).toBe(1);
  });

  it.each([-1, 0, 15, 1.5, 2 ** 53, 1e300, "256", true, null, [256], {}])(
    "refuses a memory of %j",
    async (memoryMb) => {
      await using api = await createApiWorld();
      const { id } = await api.world.build("hello");
      for (const path of ["/v1/apps/hello/releases", "/v1/apps/hello/plan"]) {
        const json = { ...(path.endsWith("plan") ? {} : { buildId: id }), memoryMb };
        expect((await api.json({ method: "POST", path, json })).status).toBe(400);
      }
      expect(await api.world.records("app")).toEqual([]);
    },
  );

  it.each([
    [{ command: [] }],
    [{ command: [""] }],
    [{ command: "ls" }],
    [{ command: ["a\u0000b"] }],
    [{ command: Array.from({ length: 300 }, () => "x") }],
    [{ command: ["ls"], stdin: "%%%" }],
    [{ command: ["ls"], timeoutMs: -1 }],
    [{ command: ["ls"], timeoutMs: 1e12 }],
    [{ command: ["ls"], env: {} }],
  ])("refuses the command %j", async (json) => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    for (const kind of ["run", "exec"]) {
      const answer = await api.json({ method: "POST", path: `/v1/apps/hello/${kind}`, json });
      expect(answer.status, answer.text).toBe(400);
    }
  });

  it("refuses prototype keys and 10,000 levels at every endpoint", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const headers = { "content-type": "application/json" };
    const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;
    for (const path of ["/v1/apps/hello/run", "/v1/apps/hello/exec", "/v1/apps/hello/plan"]) {
      for (const body of [`{"command":["ls"],"__proto__":{}}`, `{"manifest":${deep}}`, "[]", "null", "1"]) {
        expect((await api.raw({ method: "POST", path, headers, body })).status).toBe(400);
      }
    }
  });

  it("refuses a token of 1 MB, and goes on", async () => {
    await using api = await createApiWorld();
    const request = { method: "GET", path: "/v1/apps", token: "x".repeat(1_000_000) };
    const status = await api.raw(request).then(
      (answer) => answer.status,
      () => "cut off",
    );
    expect([431, "cut off"]).toContain(status);
    expect((await api.raw({ method: "GET", path: "/v1/apps", token: "x".repeat(5_000) })).status).toBe(401);
    expect((await api.raw({ method: "GET", path: "/v1/apps" })).status).toBe(200);
  });

  it("lets control characters reach neither errors, events nor the log as they are", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const nasty = "\u001b[2J\u0007\u009b31m\r\nfake log line";
    await api.client.createRelease("hello", {
      buildId: (await api.world.build("hello", { "server.js": "1" })).id,
      note: nasty,
      command: "node server.js",
    });
    for (const path of [
      `/v1/apps/${encodeURIComponent(nasty)}`,
      `/v1/apps/hello/explain?instance=${encodeURIComponent(nasty)}`,
      `/v1/apps?cursor=${encodeURIComponent(nasty)}`,
      "/v1/events",
      "/v1/apps/hello/releases",
    ]) {
      const { text } = await api.raw({ method: "GET", path });
      // Neither raw nor as an escape that a client would turn into one.
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|\\u00(?:0[0-8b-f]|1b|07|9b)/i);
      expect(text).not.toContain("\\n");
    }
    expect(api.world.logger.lines.join("")).not.toContain("\u001b");
  });
});
