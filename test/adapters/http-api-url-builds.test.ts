import { request } from "node:http";
import { DinpError, limits, parseUploadPlace, type UploadFetcher } from "@dinp/core";
import { createClient } from "@dinp/core/client";
import { createUploadFetcher } from "@dinp/core/url-fetch";
import { describe, expect, it } from "vitest";
import { makeTarGz } from "../build/support.js";
import { createApiWorld } from "./http-api-world.js";
import { until } from "./support/until.js";
import { answering, serving, startUploadServer } from "./support/upload-server.js";

const HOST = "127.0.0.2";
const uploads = createUploadFetcher({ allow: [parseUploadPlace(HOST)] });

function nodeApp(): Promise<Uint8Array> {
  return makeTarGz([
    { name: "package.json", content: "{}" },
    { name: "server.js", content: "require('http')" },
  ]);
}

describe("HTTP API: builds from a URL", () => {
  it("fetches, builds and says where from, never with the query", async () => {
    await using server = await startUploadServer(HOST, serving(await nodeApp()));
    await using api = await createApiWorld({}, { uploads });
    const place = `http://${HOST}:${String(server.port)}/files/shop.tgz`;
    const build = await api.client.createBuildFromUrl("shop", `${place}?sig=secret#x`, { tag: "v1" });
    expect(build).toMatchObject({ state: "succeeded", source: place, template: "node", files: 2, tag: "v1" });
    expect(await api.client.getBuild("shop", build.id)).toEqual(build);
    const { lines } = await api.client.getBuildLog("shop", build.id);
    expect(lines[0]).toBe(`fetching: ${place}`);
    const events = await api.client.listEvents({ app: "shop" });
    expect(events.map(({ message }) => message).join("\n")).toContain(` from ${place}`);
    const sent = await api.world.build("shop");
    expect(sent.source).toBeNull();
    const records = [await api.world.records("build"), await api.world.records("buildLog"), events];
    expect(JSON.stringify([...records, await api.world.records("idempotency")])).not.toContain("secret");
    expect(api.world.logger.lines.join()).not.toContain("secret");
  });

  it("keeps a failure with its reason, and answers it", async () => {
    await using server = await startUploadServer(HOST, answering(404, ["content-length: 0"]));
    await using api = await createApiWorld({}, { uploads });
    const place = `http://${HOST}:${String(server.port)}/shop.tgz`;
    const failures: readonly (readonly [string, number, string])[] = [
      [`${place}?secret`, 400, "answers 404"],
      ["http://127.1:9/?secret", 403, "loopback"],
      ["http://169.254.169.254/?secret", 403, "link-local"],
      ["http://[::ffff:7f00:1]/?secret", 403, "loopback"],
    ];
    for (const [url, status, message] of failures) {
      const answer = await api.json({ method: "POST", path: "/v1/apps/a/url-builds", json: { url } });
      expect(answer.status, url).toBe(status);
      expect(answer.body).toMatchObject({ error: { message: expect.stringContaining(message) } });
    }
    const builds = (await api.client.pageBuilds({ app: "a" })).items;
    expect(builds.map(({ state }) => state)).toEqual(failures.map(() => "failed"));
    expect(builds.at(-1)).toMatchObject({ source: place, error: expect.stringContaining("answers 404") });
    const everything = [await api.world.records("build"), await api.world.records("buildLog")];
    const events = await api.world.records("event");
    expect(JSON.stringify([everything, events])).not.toContain("secret");
  });

  it("refuses a URL that none can be before anything begins, and never shows a password", async () => {
    await using api = await createApiWorld({}, { uploads });
    for (const url of ["ftp://a.test/x", "http://u:secret@a.test/x", "x", "", "http://a.test/\n", 7, null]) {
      const answer = await api.json({ method: "POST", path: "/v1/apps/a/url-builds", json: { url } });
      expect(answer.status, String(url)).toBe(400);
      expect(answer.text).not.toContain("secret");
    }
    expect(await api.world.records("build")).toEqual([]);
    await using none = await createApiWorld();
    const unable = none.client.createBuildFromUrl("a", "http://a.test/x");
    await expect(unable).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("builds once for one idempotency key, and takes another URL for another request", async () => {
    await using server = await startUploadServer(HOST, serving(await nodeApp()));
    await using api = await createApiWorld({}, { uploads });
    const url = `http://${HOST}:${String(server.port)}/a.tgz`;
    const post = (json: object) =>
      api.json({
        method: "POST",
        path: "/v1/apps/a/url-builds",
        headers: { "idempotency-key": "k" },
        json,
      });
    const first = await post({ url });
    expect((await post({ url })).body).toEqual(first.body);
    expect(server.taken()).toBe(1);
    expect((await post({ url: `${url}?other` })).body).toMatchObject({
      error: { code: "DINP_IDEMPOTENCY_KEY_REUSED" },
    });
  });

  it("shows that it is at work while the answer is long in coming, and stops when the client goes", async () => {
    const state = { aborted: false, asked: 0 };
    const slow: UploadFetcher = {
      fetch: (url, { signal }) =>
        (async function* () {
          state.asked += 1;
          if (url.pathname === "/never") {
            await new Promise<void>((resolve) => {
              signal?.addEventListener("abort", () => {
                resolve();
              });
            });
            state.aborted = true;
            throw new DinpError("DINP_ABORTED", "It was aborted.");
          }
          await new Promise((resolve) => setTimeout(resolve, 200));
          yield await nodeApp();
        })(),
    };
    await using api = await createApiWorld({ heartbeatMs: 5 }, { uploads: slow });
    const seen: number[] = [];
    await new Promise<void>((resolve, reject) => {
      const headers = { authorization: `Bearer ${api.world.secret}`, "content-type": "application/json" };
      const path = "/v1/apps/a/url-builds";
      const outgoing = request(api.url + path, { method: "POST", headers, agent: false }, (incoming) => {
        seen.push(incoming.statusCode ?? 0);
        incoming.resume().on("end", resolve);
      });
      outgoing.on("information", ({ statusCode }: { readonly statusCode: number }) => seen.push(statusCode));
      outgoing.on("error", reject);
      outgoing.end(JSON.stringify({ url: "http://a.test/x" }));
    });
    expect(seen.at(-1)).toBe(201);
    expect(new Set(seen.slice(0, -1))).toEqual(new Set([102]));
    // Not bounded by what bounds other calls.
    const client = createClient({ url: api.url, token: api.world.secret, timeoutMs: 50 });
    expect(await client.createBuildFromUrl("a", "http://a.test/x")).toMatchObject({ state: "succeeded" });
    const stop = new AbortController();
    const gone = client.createBuildFromUrl("a", "http://a.test/never", { signal: stop.signal });
    await until(() => state.asked === 3, "the fetch");
    stop.abort();
    await expect(gone).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await until(() => state.aborted, "the end of the fetch");
    await until(
      async () => (await api.world.records("build")).every((one) => one.state !== "running"),
      "end",
    );
  });

  it("ends the connection of an upload that is refused, and bounds its size", async () => {
    await using server = await startUploadServer(HOST, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n<html>");
      const timer = setInterval(() => socket.write("<p>".repeat(10_000)), 5);
      socket.on("close", () => {
        clearInterval(timer);
      });
    });
    await using large = await startUploadServer(HOST, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${String(limits.uploadBytesMax + 1)}\r\n\r\n`);
    });
    await using api = await createApiWorld({}, { uploads });
    const page = api.client.createBuildFromUrl("a", `http://${HOST}:${String(server.port)}/`);
    await expect(page).rejects.toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
    const tooLarge = api.client.createBuildFromUrl("a", `http://${HOST}:${String(large.port)}/`);
    await expect(tooLarge).rejects.toMatchObject({ code: "DINP_TOO_LARGE" });
    await until(() => server.open() + large.open() === 0, "the end of both connections");
  });
});
