import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ByteStream, Clock } from "@dinp/core";
import type { OciRegistry, OciRegistryOptions } from "@dinp/core/oci";
import { createSystemClock } from "@dinp/core/system";
import { describeWithServices } from "../support/services.js";
import { clientOf, ownPath } from "./oci-support/clients.js";
import {
  collect,
  errorOf,
  everythingOf,
  manifestType,
  pieces,
  putImage,
  repository,
  sha256,
} from "./oci-support/images.js";
import { Relay, type RelayedAnswer, type RelayedRequest, type RelayRules } from "./oci-support/relay.js";

const ABSENT = `sha256:${"0".repeat(64)}`;

describeWithServices(["registry"], "oci registry and answers that registries and proxies give", (places) => {
  const disposals: (() => Promise<void>)[] = [];
  let path: string;

  beforeEach(() => {
    path = ownPath();
  });

  afterEach(async () => {
    for (const dispose of disposals.splice(0).reverse()) await dispose();
  });

  const open = (url: string, options: Omit<Partial<OciRegistryOptions>, "url"> = {}): OciRegistry => {
    const registry = clientOf(`${url}/${path}`, options);
    disposals.push(() => registry.close());
    return registry;
  };

  /** A client of the real registry through a relay, and one that goes straight to it. */
  const through = async (
    rules: RelayRules,
    options: Omit<Partial<OciRegistryOptions>, "url"> = {},
  ): Promise<{ readonly registry: OciRegistry; readonly direct: OciRegistry; readonly relay: Relay }> => {
    const relay = await Relay.start(places.DINP_TEST_REGISTRY, rules);
    disposals.push(() => relay[Symbol.asyncDispose]());
    return { registry: open(relay.url, options), direct: open(places.DINP_TEST_REGISTRY), relay };
  };

  const flip = (answer: RelayedAnswer): void => {
    const at = answer.body.length - 2;
    if (answer.status === 200 && at >= 0) answer.body[at] = (answer.body[at] ?? 0) ^ 1;
  };

  it("does not believe bytes that are not those of the digest", async () => {
    const { registry, direct } = await through({ change: flip });
    const image = await putImage(direct);
    const reads = [
      registry.readManifest(repository, image.digest),
      collect(registry.readBlob(repository, image.layer.digest)),
    ];
    for (const error of await Promise.all(reads.map(errorOf)))
      expect(error).toMatchObject({ code: "DINP_DIGEST_MISMATCH" });
  });

  it("does not believe a registry that says it stored something else", async () => {
    const { registry, direct } = await through({
      change: ({ headers }) => {
        if (headers["docker-content-digest"] !== undefined) headers["docker-content-digest"] = ABSENT;
      },
    });
    const image = await putImage(direct);
    const manifest = { mediaType: manifestType, bytes: image.bytes };
    const calls = [
      registry.writeManifest(repository, manifest),
      registry.writeBlob(repository, pieces(Buffer.from("small"))),
      registry.writeBlob(repository, pieces(new Uint8Array(700_000))),
      registry.mountBlob("apps/other", image.layer.digest, repository),
      registry.readManifest(repository, image.digest),
    ];
    for (const error of await Promise.all(calls.map(errorOf)))
      expect(error).toMatchObject({ code: "DINP_DIGEST_MISMATCH" });
  });

  it("works without what a registry need not say", async () => {
    const { registry } = await through({
      change: ({ headers }) => {
        delete headers["docker-content-digest"];
        delete headers["docker-distribution-api-version"];
        delete headers["docker-upload-uuid"];
      },
    });
    const image = await putImage(registry, "live");
    expect(await registry.resolve(repository, "live")).toBe(image.digest);
    expect(await registry.list(repository)).toEqual([{ tag: "live", digest: image.digest }]);
    expect((await registry.readManifest(repository, image.digest)).bytes).toEqual(image.bytes);
    expect(await registry.hasBlob(repository, ABSENT)).toBe(false);
    expect(await registry.resolve(repository, "absent")).toBeNull();
    const big = new Uint8Array(700_000).fill(3);
    const { digest } = await registry.writeBlob(repository, pieces(big));
    expect(sha256(await collect(registry.readBlob(repository, digest)))).toBe(digest);
  });

  it("does not take a proxy's 404 for the word of the registry behind it", async () => {
    const { registry } = await through({
      instead: () => ({
        status: 404,
        headers: { "content-type": "text/html" },
        body: Buffer.from("<h1>404</h1>"),
      }),
    });
    const calls = [
      registry.resolve(repository, "live"),
      registry.list(repository),
      registry.hasBlob(repository, ABSENT),
      registry.readManifest(repository, ABSENT),
      collect(registry.readBlob(repository, ABSENT)),
      registry.delete(repository, ABSENT),
      registry.mountBlob("apps/other", ABSENT, repository),
    ];
    for (const error of await Promise.all(calls.map(errorOf)))
      expect(error).toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("asks for no more tags once one of them fails", async () => {
    const tags = Array.from({ length: 400 }, (_, index) => `t${String(index)}`);
    const { registry, relay } = await through({
      instead: ({ path: asked }) => {
        if (asked.includes("/tags/list")) return { body: Buffer.from(JSON.stringify({ tags })) };
        if (asked.endsWith("/manifests/t0")) return { status: 403 };
        return asked.includes("/manifests/") ? { headers: { "docker-content-digest": ABSENT } } : null;
      },
    });
    expect(await errorOf(registry.list(repository))).toMatchObject({ code: "DINP_FORBIDDEN" });
    for (let i = 0; i < 30; i += 1) await registry.hasBlob(repository, ABSENT);
    const asked = relay.requests.filter(({ path: each }) => each.includes("/manifests/"));
    expect(asked.length).toBeLessThan(40);
  });

  it("waits as long as it is told to, and not when that is too long", async () => {
    const slept: number[] = [];
    const wokenAt: number[] = [];
    const system = createSystemClock();
    const clock: Clock = {
      ...system,
      sleep: async (ms) => {
        slept.push(ms);
        wokenAt.push(Date.now() + ms);
      },
    };
    let busy = 2;
    let retryAfter = "7";
    const instead = (): Partial<RelayedAnswer> | null => {
      busy -= 1;
      return busy < 0 ? null : { status: 429, headers: { "retry-after": retryAfter } };
    };
    const { registry } = await through({ instead }, { clock, limits: { retryMs: 500, retryMsMax: 10_000 } });
    expect(await registry.list(repository)).toEqual([]);
    expect(slept).toHaveLength(2);
    expect(slept[0]).toBeGreaterThanOrEqual(7_000);
    expect(slept[0]).toBeLessThan(7_500);
    expect(slept[1]).toBeLessThan(8_000);
    busy = 1;
    retryAfter = new Date(Date.now() + 30_000).toUTCString();
    await registry.list(repository);
    expect(wokenAt[2]).toBeGreaterThanOrEqual(Date.parse(retryAfter));
    busy = 1;
    retryAfter = "3600";
    const failure = await errorOf(registry.list(repository));
    expect(failure).toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
      details: { retryAfterMs: 3_600_000 },
    });
    expect(slept).toHaveLength(3);
  });

  it("follows a blob to where it is stored, without showing the credentials there", async () => {
    const storage = await Relay.start(places.DINP_TEST_REGISTRY);
    disposals.push(() => storage[Symbol.asyncDispose]());
    const { registry, direct, relay } = await through(
      {
        instead: ({ path: asked, method, headers }) => {
          if (headers.authorization === undefined) {
            return { status: 401, headers: { "www-authenticate": 'Basic realm="tests"' } };
          }
          const isRead = method === "GET" && asked.includes("/blobs/sha256:");
          return isRead ? { status: 307, headers: { location: `${storage.url}${asked}` } } : null;
        },
      },
      { credentials: { username: "tester", password: "correct-horse" } },
    );
    const bytes = new Uint8Array(300_000).fill(9);
    const { digest } = await direct.writeBlob(repository, pieces(bytes));
    expect(sha256(await collect(registry.readBlob(repository, digest)))).toBe(digest);
    expect(relay.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
    expect(storage.requests).toHaveLength(1);
    expect(storage.requests[0]?.headers).not.toHaveProperty("authorization");
  });

  it("does not redirect without end, nor away from encryption", async () => {
    const { registry } = await through({
      instead: ({ path: asked }) => ({ status: 302, headers: { location: asked } }),
    });
    expect(await errorOf(registry.hasBlob(repository, ABSENT))).toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: false,
    });
    const { registry: elsewhere } = await through({
      instead: () => ({ status: 302, headers: { location: "ftp://elsewhere.example/" } }),
    });
    expect(await errorOf(elsewhere.hasBlob(repository, ABSENT))).toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: false,
    });
  });

  it("reads all pages of a list of tags, and a list that has no end is none", async () => {
    const paged =
      (
        pageOf: (
          tags: readonly string[],
          asked: URL,
        ) => { readonly tags: readonly string[]; readonly next: string | null },
      ) =>
      (answer: RelayedAnswer, { path: asked }: RelayedRequest): void => {
        if (!asked.includes("/tags/list")) return;
        const { tags } = JSON.parse(answer.body.toString()) as { readonly tags: readonly string[] };
        const url = new URL(asked, "http://relay");
        const page = pageOf(tags, url);
        answer.body = Buffer.from(JSON.stringify({ name: "x", tags: page.tags }));
        if (page.next !== null)
          answer.headers["link"] = `<${url.pathname}?n=2&last=${page.next}>; rel="next"`;
      };
    const byTwos = paged((tags, asked) => {
      const last = asked.searchParams.get("last");
      const rest = [...tags].sort().filter((tag) => last === null || tag > last);
      const page = rest.slice(0, 2);
      return { tags: page, next: rest.length > 2 ? (page.at(-1) ?? null) : null };
    });
    const { registry, direct, relay } = await through({ change: byTwos });
    const image = await putImage(direct, "a");
    const manifest = { mediaType: manifestType, bytes: image.bytes };
    for (const tag of ["b", "c", "d", "e"]) await direct.writeManifest(repository, manifest, { tag });
    const expected = ["a", "b", "c", "d", "e"].map((tag) => ({ tag, digest: image.digest }));
    expect(await registry.list(repository)).toEqual(expected);
    expect(relay.requests.filter(({ path: asked }) => asked.includes("/tags/list"))).toHaveLength(3);
    relay.rules = { change: paged((tags) => ({ tags, next: "a" })) };
    expect(await registry.list(repository)).toEqual(expected);
    let made = 0;
    relay.rules = { change: paged(() => ({ tags: [`t${String((made += 1))}`], next: "a" })) };
    const bounded = open(relay.url, { limits: { tagsMax: 10 } });
    expect(await errorOf(bounded.list(repository))).toMatchObject({ code: "DINP_TOO_LARGE" });
  });

  it("reads and writes a blob itself where the registry does not mount", async () => {
    const { registry } = await through({
      instead: ({ method, path: asked }) => {
        if (method !== "POST" || !asked.includes("mount=")) return null;
        return { status: 202, headers: { location: `/v2/${path}/apps/other/blobs/uploads/none` } };
      },
    });
    const bytes = new Uint8Array(700_000).fill(5);
    const { digest } = await registry.writeBlob(repository, pieces(bytes));
    expect(await registry.mountBlob("apps/other", digest, repository)).toBe(true);
    expect(sha256(await collect(registry.readBlob("apps/other", digest)))).toBe(digest);
    expect(await registry.mountBlob("apps/other", ABSENT, repository)).toBe(false);
  });

  /** An upload to a registry that keeps count of what it has, and breaks at the given places. */
  const counting = (cuts: number[]) => {
    const location = "/upload/one";
    const upload = { stored: Buffer.alloc(0), patches: 0, isCommitted: false };
    const instead = ({ method, path: asked, body }: RelayedRequest): Partial<RelayedAnswer> | null => {
      if (method === "POST" && asked.endsWith("/uploads/")) return { status: 202, headers: { location } };
      if (asked !== location && !asked.startsWith(`${location}?`)) return null;
      const headers = (): RelayedAnswer["headers"] => ({
        location,
        range: `0-${String(upload.stored.length - 1)}`,
      });
      if (method === "PUT") {
        const digest = sha256(upload.stored);
        if (new URL(asked, "http://relay").searchParams.get("digest") !== digest)
          return { status: 400, body: Buffer.from('{"errors":[{"code":"DIGEST_INVALID"}]}') };
        upload.isCommitted = true;
        return { status: 201 };
      }
      if (method !== "PATCH") return { status: 204, headers: headers() };
      upload.patches += 1;
      const cut = cuts.shift();
      upload.stored = Buffer.concat([upload.stored, body]).subarray(0, cut);
      return cut === undefined ? { status: 202, headers: headers() } : { status: 500 };
    };
    return { instead, upload };
  };

  it("goes on with an upload where a registry that can tell says that it stands", async () => {
    const bytes = randomBytes(700_000);
    const { instead, upload } = counting([300_000, 300_000, 650_001]);
    const { registry } = await through({ instead });
    let opened = 0;
    const written = await registry.writeBlob(repository, () => {
      opened += 1;
      return pieces(bytes);
    });
    expect(written).toEqual({ digest: sha256(bytes), size: bytes.length });
    expect(upload.stored.equals(bytes)).toBe(true);
    expect({ opened, patches: upload.patches }).toEqual({ opened: 4, patches: 4 });
  });

  it("refuses a source that gives other bytes when it is read again, wherever they differ", async () => {
    const bytes = randomBytes(700_000);
    for (const at of [0, 299_999, 300_000, 699_999]) {
      const { instead, upload } = counting([300_000]);
      const { registry } = await through({ instead });
      let opened = 0;
      const source = (): ByteStream => {
        const copy = Buffer.from(bytes);
        if (opened > 0) copy[at] = (copy[at] ?? 0) ^ 1;
        opened += 1;
        return pieces(copy);
      };
      const failure = await errorOf(registry.writeBlob(repository, source));
      expect(failure, String(at)).toMatchObject({ code: "DINP_DIGEST_MISMATCH" });
      expect({ opened, isCommitted: upload.isCommitted }).toEqual({ opened: 2, isCommitted: false });
    }
    const { instead } = counting([300_000]);
    const { registry } = await through({ instead });
    let size = bytes.length;
    const shorter = (): ByteStream => {
      const stream = pieces(bytes.subarray(0, size));
      size = 400_000;
      return stream;
    };
    const failure = await errorOf(registry.writeBlob(repository, shorter));
    expect(failure).toMatchObject({ code: "DINP_DIGEST_MISMATCH" });
  });

  it("gives up when an upload breaks time and again without getting further", async () => {
    const { instead, upload } = counting(Array.from({ length: 100 }, () => 300_000));
    const { registry } = await through({ instead }, { limits: { attempts: 3 } });
    const failure = await errorOf(registry.writeBlob(repository, () => pieces(new Uint8Array(700_000))));
    expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    expect(upload.patches).toBe(3);
  });

  it("sends no more in one request than it is told to", async () => {
    const bytes = randomBytes(700_000);
    const { instead, upload } = counting([]);
    const { registry } = await through({ instead }, { limits: { chunkBytes: 300_000 } });
    await registry.writeBlob(repository, pieces(bytes));
    expect(upload.stored.equals(bytes)).toBe(true);
    expect(upload.patches).toBe(3);
  });

  it("hears an answer that comes before the end of an upload", async () => {
    const { registry } = await through({
      early: ({ method }) => (method === "PATCH" ? { status: 413 } : null),
    });
    let left = 0;
    // Never ends by itself.
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield await Promise.resolve(new Uint8Array(100_000));
      } finally {
        left += 1;
      }
    };
    expect(await errorOf(registry.writeBlob(repository, source))).toMatchObject({ code: "DINP_TOO_LARGE" });
    await expect.poll(() => left).toBe(1);
  });

  it("sends an upload again when its credentials end in its middle", async () => {
    let refusals = 1;
    const bytes = new Uint8Array(700_000).fill(6);
    const credentials = { username: "tester", password: "first" };
    const { registry, direct } = await through(
      {
        early: ({ method, headers }) => {
          const isRefused = method === "PATCH" && refusals > 0;
          if (isRefused) refusals -= 1;
          if (isRefused) credentials.password = "second";
          return isRefused || headers.authorization === undefined
            ? { status: 401, headers: { "www-authenticate": 'Basic realm="tests"' } }
            : null;
        },
      },
      { credentials: () => Promise.resolve(credentials) },
    );
    const { digest } = await registry.writeBlob(repository, () => pieces(bytes));
    expect(await direct.hasBlob(repository, digest)).toBe(true);
    expect(refusals).toBe(0);
  });

  it("shows what a registry says of an error, but no secret and nothing that moves a terminal", async () => {
    const password = "correct-horse-battery";
    const body = Buffer.from(
      JSON.stringify({ errors: [{ code: "DENIED", message: `quota\u001b[2J of ${password} is used up` }] }),
    );
    const { registry } = await through(
      {
        instead: ({ headers }) =>
          headers.authorization === undefined
            ? { status: 401, headers: { "www-authenticate": 'Basic realm="tests"' } }
            : { status: 403, body },
      },
      { credentials: { username: "tester", password } },
    );
    const failure = await errorOf(registry.writeBlob(repository, pieces(Buffer.from("x"))));
    expect(failure).toMatchObject({ code: "DINP_FORBIDDEN" });
    expect(String(failure)).toContain("quota [2J of *** is used up");
    expect(everythingOf(failure)).not.toContain(password);
  });

  it("says that a registry does not let anybody delete", async () => {
    const { registry } = await through({
      instead: ({ method }) => (method === "DELETE" ? { status: 405 } : null),
    });
    expect(await errorOf(registry.delete(repository, ABSENT))).toMatchObject({ code: "DINP_FORBIDDEN" });
  });
});
