import { readFile } from "node:fs/promises";
import { isDinpError } from "@dinp/core";
import { createDash, readPageFiles } from "@dinp/core/dash";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { describe, expect, it } from "vitest";
import { MemoryLogger } from "../platform/world.js";
import { startServer, TestDash } from "./dash-support.js";

const page = { path: "/" };

describe("the page", () => {
  it("may load its own files alone, and is shown by no other site", async () => {
    const dash = await TestDash.start({ servers: ["http://127.0.0.1:1"] });
    const { status, headers, text } = await dash.ask(page);
    expect([status, text, headers["content-type"]]).toEqual([200, "<p>page", "text/html"]);
    const policy = String(headers["content-security-policy"]).split("; ");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy.join()).not.toContain("unsafe");
    expect(headers).toMatchObject({
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
    });
  });

  it("needs nothing that its policy forbids", async () => {
    const text = await readFile(new URL("../../src/adapters/dash/page/index.html", import.meta.url), "utf8");
    expect(text).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src="\/)/);
  });

  it("is sent again only when it has changed", async () => {
    const dash = await TestDash.start({ servers: ["http://127.0.0.1:1"] });
    const { headers } = await dash.ask(page);
    expect(headers["cache-control"]).toBe("no-cache");
    const same = await dash.ask({ ...page, headers: { "if-none-match": headers.etag } });
    expect([same.status, same.text]).toEqual([304, ""]);
    expect((await dash.ask({ ...page, headers: { "if-none-match": '"0"' } })).status).toBe(200);
  });

  it("has no other paths and methods", async () => {
    const dash = await TestDash.start({ servers: ["http://127.0.0.1:1"] });
    for (const path of ["/index.html", "/../etc/passwd", "/dash.js.map", "//", "/%2e%2e/"])
      expect((await dash.ask({ path })).status).toBe(404);
    expect((await dash.ask({ method: "POST", path: "/", body: "x" })).status).toBe(400);
    const head = await dash.ask({ method: "HEAD", path: "/" });
    expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", "7"]);
  });

  it("is read from its folder, or it is said what is missing", async () => {
    const failure = await readPageFiles("/nowhere").catch((error: unknown) => error);
    expect(isDinpError(failure, "DINP_NOT_FOUND")).toBe(true);
    expect(String(failure)).toMatch(/page \/nowhere\/[a-z]+\.[a-z]+ cannot be read/);
  });
});

describe("the dashboard", () => {
  const parts = {
    files: new Map(),
    clock: createSystemClock(),
    random: createSystemRandom(),
    logger: new MemoryLogger(),
    listen: { host: "127.0.0.1", port: 0 },
  };

  it.each([
    [{ servers: [] }, "no server"],
    [{ servers: ["10.0.0.5:7070"] }, "10.0.0.5:7070"],
    [{ servers: ["ftp://a"] }, "ftp://a"],
    [{ servers: ["http://user:pass@a"] }, "without credentials"],
    [{ servers: ["http://a"], publicUrl: "dash.example.com" }, "dash.example.com"],
    [{ servers: ["http://a"], publicUrl: "https://a/dash" }, "without a path"],
  ])("says what is wrong with %j", (options, text) => {
    try {
      createDash({ ...parts, ...options });
      expect.unreachable();
    } catch (error) {
      expect(isDinpError(error, "DINP_INVALID") && `${error.message} ${error.hint ?? ""}`).toContain(text);
    }
  });

  it("says when its port is taken", async () => {
    const taken = new URL((await startServer()).url);
    const listen = { host: "127.0.0.1", port: Number(taken.port) };
    const dash = createDash({ ...parts, listen, servers: ["http://127.0.0.1:1"] });
    const failure = await dash.start().catch((error: unknown) => error);
    expect(isDinpError(failure, "DINP_PORT_TAKEN")).toBe(true);
    await dash.close({ drainMs: 0 });
  });

  it("is closed once, and for good", async () => {
    const { dash, origin } = await TestDash.start({ servers: ["http://127.0.0.1:1"] });
    await Promise.all([dash.close({ drainMs: 0 }), dash.close({ drainMs: 0 })]);
    await expect(fetch(origin)).rejects.toThrow();
    await expect(dash.start()).rejects.toMatchObject({ code: "DINP_CLOSED" });
  });

  it("tells of each request what it was, never whose", async () => {
    const records: object[] = [];
    const server = await startServer();
    const dash = await TestDash.start({ servers: [server.url], onRequest: (record) => records.push(record) });
    await dash.ask(page);
    await dash.signIn();
    await dash.ask({ path: "/api/v1/apps" });
    await dash.ask({ path: "/none" });
    const durationMs = expect.any(Number);
    expect(records).toEqual([
      { kind: "page", status: 200, durationMs },
      { kind: "session", status: 200, durationMs },
      { kind: "api", status: 200, durationMs },
      { kind: "page", status: 404, durationMs },
    ]);
  });
});
