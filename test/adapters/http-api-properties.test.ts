import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isDinpErrorCode } from "@dinp/core";
import { createFileSecretBox } from "@dinp/core/system";
import { createApiWorld, type ApiWorld } from "./http-api-world.js";
import {
  anyRequest,
  operationsOf,
  type ApiDocument,
  type HostileRequest,
  type Operation,
} from "./http-api-requests.js";
import { sendRaw, type HeadAndText } from "./http-api-sender.js";

/** What may come of a request that was refused: a build that failed is kept on purpose, with its log and its event. */
const KEPT_OF_REFUSED = new Set(["build", "buildLog", "event"]);
/** No leader and no node stand behind this API: what needs one says so. */
const NEEDS_A_LEADER = /^\/v1\/(?:plan|apps\/\{app\}\/(?:plan|explain|exec|run))$/;

describe("HTTP API: any request whatever, by its own description", () => {
  let folder: string;
  let api: ApiWorld;
  let document: ApiDocument;
  let operations: readonly Operation[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dinp-api-"));
    api = await createApiWorld(
      {},
      { secrets: createFileSecretBox({ keyFile: join(folder, "secrets.key") }) },
    );
    await api.world.push("hello");
    await api.world.place("hello", "i-1", true);
    document = JSON.parse((await api.raw({ method: "GET", path: "/openapi.json" })).text) as ApiDocument;
    operations = operationsOf(document);
  });

  afterAll(async () => {
    await api[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const present = async (): Promise<string> => {
    const { records } = await api.world.store.snapshot();
    return JSON.stringify(records.filter(({ kind }) => !KEPT_OF_REFUSED.has(kind)));
  };

  function assertAnswer(request: HostileRequest, answer: HeadAndText): void {
    const { status, headers, text } = answer;
    // A head that is too large is refused before it is a request.
    if (status !== 431) expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(text).not.toContain(api.world.secret);
    if (status < 400) return;
    const isWithoutLeader = status === 503 && NEEDS_A_LEADER.test(request.operation.path);
    expect(status < 500 || isWithoutLeader, `${String(status)} ${text}`).toBe(true);
    expect(headers["content-type"]).toBe("application/json");
    if (request.method === "HEAD") return;
    const { error, ...others } = JSON.parse(text) as { error: Record<string, unknown> };
    expect(others).toEqual({});
    const { code, message, hint, details, ...more } = error;
    expect(more).toEqual({});
    expect(isDinpErrorCode(code)).toBe(true);
    for (const sentence of [message, hint]) {
      expect(sentence, text).toEqual(expect.any(String));
      expect(String(sentence)).toMatch(/^\P{Cc}{5,4000}$/u);
      expect(String(sentence)).not.toMatch(/\n|node_modules|\bat \S+ \(|\/src\/|\.js:\d/);
    }
    if (details !== undefined) expect(details).toEqual(expect.any(Object));
    expect(text.length).toBeLessThan(20_000);
  }

  it("answers in time, with a documented error or a success, and a refusal changes nothing", async () => {
    const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
    await fc.assert(
      fc.asyncProperty(anyRequest(operations), async (request) => {
        const before = await present();
        const answer = await sendRaw(api.url, api.world.secret, request);
        assertAnswer(request, answer);
        if (answer.status >= 400) expect(await present()).toBe(before);
        else if (request.method === "DELETE") await api.world.push("hello");
      }),
      { seed, numRuns: 4_000, interruptAfterTimeLimit: 8_000, markInterruptAsFailure: false },
    );
    expect((await api.raw({ method: "GET", path: "/v1/apps/hello" })).status).toBe(200);
    expect(api.world.logger.lines.filter((line) => line.includes("a request failed"))).toEqual([]);
  });

  it("answers a method that a path does not take with 405 and those that it takes", async () => {
    for (const path of Object.keys(document.paths)) {
      const known = operations.filter((operation) => operation.path === path).map(({ method }) => method);
      const allowed = [...known, ...(known.includes("GET") ? ["HEAD"] : [])].sort();
      const target = path.replaceAll("{app}", "hello").replaceAll("{number}", "1").replaceAll("{id}", "b-1");
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
        if (known.includes(method)) continue;
        const answer = await api.raw({ method, path: target });
        expect([method, path, answer.status]).toEqual([method, path, 405]);
        expect(answer.headers.allow?.split(", ").sort()).toEqual(allowed);
        expect(answer.text).toContain("DINP_INVALID");
      }
    }
  });
});
