import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseUploadPlace, type DinpErrorCode } from "@dinp/core";
import { createUploadFetcher, type UploadFetcherOptions } from "@dinp/core/url-fetch";
import { describe, expect, it } from "vitest";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { until } from "./support/until.js";
import {
  answering,
  redirecting,
  serving,
  startUploadServer,
  type Behaviour,
} from "./support/upload-server.js";

const ALLOWED = "127.0.0.2";
const FORBIDDEN = "127.0.0.3";
const BYTES_MAX = 1_000_000;

/** Names of these tests, and the addresses that each lookup finds, one after another; the last one stays. */
type Names = Readonly<Record<string, readonly (readonly string[])[]>>;

function fetcherWith(names: Names = {}, options: UploadFetcherOptions = {}) {
  const lookups: string[] = [];
  const log: string[] = [];
  const fetcher = createUploadFetcher({
    allow: [parseUploadPlace(`${ALLOWED}/32`)],
    resolve: (host) => {
      const answers = names[host] ?? [];
      const answer = answers[Math.min(lookups.filter((one) => one === host).length, answers.length - 1)];
      lookups.push(host);
      return answer === undefined
        ? Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }))
        : Promise.resolve(answer);
    },
    ...options,
  });
  const open = (url: string, bytesMax = BYTES_MAX, signal?: AbortSignal): AsyncIterable<Uint8Array> =>
    fetcher.fetch(new URL(url), {
      bytesMax,
      log: (line) => log.push(line),
      ...(signal === undefined ? {} : { signal }),
    });
  const text = async (url: string, bytesMax?: number): Promise<string> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of open(url, bytesMax)) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  };
  const refused = async (url: string, code: DinpErrorCode, message: RegExp, bytesMax?: number) => {
    const error: unknown = await text(url, bytesMax).then(
      (body) => new Error(`not refused: ${body.slice(0, 100)}`),
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(JSON.stringify([error, String(error), log])).not.toContain("secret");
  };
  return { open, text, refused, lookups, log };
}

describe("uploads by URL: where from", () => {
  it("fetches bytes as they are, asking nothing but the URL's own name and path", async () => {
    await using server = await startUploadServer(ALLOWED, serving("the bytes"));
    const { text, lookups, log } = fetcherWith({ "files.test": [[ALLOWED]] });
    const port = String(server.port);
    expect(await text(`http://files.test:${port}/a/b.tgz?token=secret#x`)).toBe("the bytes");
    const fields = (server.heads[0] ?? "").split("\r\n");
    expect(fields[0]).toBe("GET /a/b.tgz?token=secret HTTP/1.1");
    expect(fields.filter((line) => line !== "").map((line) => line.toLowerCase())).toEqual(
      expect.arrayContaining([`host: files.test:${port}`, "accept-encoding: identity"]),
    );
    expect(fields.join("\n")).not.toMatch(/^(?:authorization|cookie|referer|proxy-)/im);
    expect(lookups).toEqual(["files.test"]);
    expect(log).toEqual([`fetching: http://files.test:${port}/a/b.tgz`]);
    await until(() => server.open() === 0, "the end of the connection");
  });

  it("decompresses nothing", async () => {
    await using server = await startUploadServer(
      ALLOWED,
      answering(200, ["content-encoding: gzip"], "no gzip"),
    );
    expect(await fetcherWith().text(`http://${ALLOWED}:${String(server.port)}/`)).toBe("no gzip");
  });

  it.each([
    "http://127.1:PORT/",
    "http://127.0.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://017700000001:PORT/",
    "http://0:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://10.0.0.1/",
    "http://loop.test:PORT/?secret",
    "http://mixed.test:PORT/",
    "http://mapped.test:PORT/",
    "http://meta.test/",
    "http://odd.test:PORT/",
  ])("connects to nothing for %s", async (url) => {
    await using server = await startUploadServer("127.0.0.1", serving("secret"));
    const { refused } = fetcherWith({
      "loop.test": [["127.0.0.1"]],
      // All addresses of a name must be good ones: which of them is connected to is not the platform's choice.
      "mixed.test": [["127.0.0.2", "127.0.0.1"]],
      "mapped.test": [["::ffff:127.0.0.1"]],
      "meta.test": [["169.254.169.254"]],
      "odd.test": [["127.1"]],
    });
    const message = /^Uploads may not be fetched from there: .*(?:is|leads to) an? /;
    await refused(
      url.replace("PORT", String(server.port)),
      "DINP_FORBIDDEN",
      url.includes("odd") ? /no address that can be checked/ : message,
    );
    expect(server.taken()).toBe(0);
  });

  it("is not led astray by a name whose address changes after it was checked", async () => {
    await using good = await startUploadServer(ALLOWED, serving("good"));
    await using bad = await startUploadServer(FORBIDDEN, serving("secret"), good.port);
    const { text, lookups, refused } = fetcherWith({ "rebind.test": [[ALLOWED], [FORBIDDEN]] });
    const url = `http://rebind.test:${String(good.port)}/`;
    expect(await text(url)).toBe("good");
    expect(lookups).toEqual(["rebind.test"]);
    await refused(url, "DINP_FORBIDDEN", /the name rebind\.test leads to a loopback address/);
    expect(bad.taken()).toBe(0);
  });

  it("checks a name anew when a redirect leads to it again", async () => {
    const target: { behave: Behaviour } = { behave: serving("") };
    await using good = await startUploadServer(ALLOWED, (socket, head) => {
      target.behave(socket, head);
    });
    await using bad = await startUploadServer(FORBIDDEN, serving("secret"), good.port);
    target.behave = redirecting(`http://rebind.test:${String(good.port)}/again?secret`);
    const { refused, lookups, log } = fetcherWith({ "rebind.test": [[ALLOWED], [FORBIDDEN]] });
    await refused(`http://rebind.test:${String(good.port)}/`, "DINP_FORBIDDEN", /rebind\.test/);
    expect(lookups).toEqual(["rebind.test", "rebind.test"]);
    expect(log.at(-1)).toBe(`redirected to: http://rebind.test:${String(good.port)}/again`);
    expect([good.taken(), bad.taken()]).toEqual([1, 0]);
  });

  it("tries the addresses that a name has, and no other", async () => {
    await using server = await startUploadServer(ALLOWED, serving("second"));
    const allow = [parseUploadPlace("127.0.0.0/30"), parseUploadPlace("[::1]")];
    const { text } = fetcherWith({ "two.test": [["127.0.0.1", ALLOWED]] }, { allow });
    expect(await text(`http://two.test:${String(server.port)}/`)).toBe("second");
  });

  it("asks a host that the operator vouches for, on its port only", async () => {
    await using server = await startUploadServer(FORBIDDEN, serving("inside"));
    const port = String(server.port);
    const names = { "nexus.test": [[FORBIDDEN]], "other.test": [[FORBIDDEN]] };
    const allow = [parseUploadPlace(`nexus.test:${port}`)];
    const { text, refused } = fetcherWith(names, { allow });
    expect(await text(`http://nexus.test:${port}/x`)).toBe("inside");
    expect(await text(`http://NEXUS.test.:${port}/x`).catch(String)).toMatch(/inside|no host/);
    await refused(`http://other.test:${port}/x`, "DINP_FORBIDDEN", /other\.test/);
    await refused("http://nexus.test:1/x", "DINP_FORBIDDEN", /nexus\.test/);
  });

  it("takes no proxy from the environment", async () => {
    await using proxy = await startUploadServer(ALLOWED, serving("from the proxy"));
    await using server = await startUploadServer(ALLOWED, serving("direct"));
    const before = { ...process.env };
    process.env["HTTP_PROXY"] = process.env["http_proxy"] = `http://${ALLOWED}:${String(proxy.port)}`;
    process.env["NODE_USE_ENV_PROXY"] = "1";
    try {
      expect(await fetcherWith().text(`http://${ALLOWED}:${String(server.port)}/`)).toBe("direct");
    } finally {
      for (const name of ["HTTP_PROXY", "http_proxy", "NODE_USE_ENV_PROXY"]) {
        if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = before[name];
      }
    }
    expect(proxy.taken()).toBe(0);
  });
});

describe("uploads by URL: redirects", () => {
  it("follows up to five, and not a sixth", async () => {
    const steps = { left: 5 };
    await using server = await startUploadServer(ALLOWED, (socket, head) => {
      const behave = steps.left > 0 ? redirecting(`/next?${String(steps.left)}`, 307) : serving("at last");
      steps.left -= 1;
      behave(socket, head);
    });
    const url = `http://${ALLOWED}:${String(server.port)}/`;
    expect(await fetcherWith().text(url)).toBe("at last");
    steps.left = 6;
    await fetcherWith().refused(url, "DINP_INVALID", /redirects without end/);
    expect(server.heads).toHaveLength(12);
    await until(() => server.open() === 0, "the end of all connections");
  });

  it.each([
    ["http://127.0.0.3:PORT/?secret", "DINP_FORBIDDEN", /127\.0\.0\.3 is a loopback address/],
    ["//127.0.0.3:PORT/", "DINP_FORBIDDEN", /127\.0\.0\.3/],
    ["http://2130706435:PORT/", "DINP_FORBIDDEN", /127\.0\.0\.3/],
    ["http://[::ffff:7f00:3]:PORT/", "DINP_FORBIDDEN", /::ffff:7f00:3/],
    ["http://169.254.169.254/latest", "DINP_FORBIDDEN", /link-local/],
    ["file:///etc/passwd", "DINP_INVALID", /not by file:/],
    ["ftp://127.0.0.2/", "DINP_INVALID", /not by ftp:/],
    ["http://u:secret@127.0.0.2:PORT/", "DINP_INVALID", /user or password/],
    ["http://", "DINP_INVALID", /redirects to no URL/],
  ] satisfies readonly (readonly [string, DinpErrorCode, RegExp])[])(
    "refuses one to %s",
    async (to, code, message) => {
      await using bad = await startUploadServer(FORBIDDEN, serving("secret"));
      await using server = await startUploadServer(
        ALLOWED,
        redirecting(to.replace("PORT", String(bad.port))),
      );
      await fetcherWith().refused(`http://${ALLOWED}:${String(server.port)}/x?secret`, code, message);
      expect(bad.taken()).toBe(0);
    },
  );

  it("refuses one without a place", async () => {
    await using server = await startUploadServer(ALLOWED, answering(301, ["content-length: 0"]));
    const url = `http://${ALLOWED}:${String(server.port)}/`;
    await fetcherWith().refused(url, "DINP_INVALID", /redirects to no URL/);
  });
});

describe("uploads by URL: answers", () => {
  const limits = { connectMs: 300, headersMs: 300, idleMs: 300, totalMs: 900 };
  const head = "HTTP/1.1 200 OK\r\n";
  /** Writes the pieces for as long as the connection lasts. */
  const dripping = (first: string, piece: string, everyMs: number): Behaviour => {
    return (socket) => {
      socket.write(first);
      const timer = setInterval(() => socket.write(piece), everyMs);
      socket.on("close", () => {
        clearInterval(timer);
      });
    };
  };

  it.each([
    ["404", answering(404, ["content-length: 0"]), "DINP_INVALID", /answers 404 instead of the file/],
    ["401", answering(401, ["content-length: 0"]), "DINP_INVALID", /answers 401/],
    ["503", answering(503, ["content-length: 0"]), "DINP_UNAVAILABLE", /answers 503/],
    ["206", answering(206, ["content-length: 1"], "x"), "DINP_INVALID", /answers 206/],
    ["204", answering(204, []), "DINP_INVALID", /answers 204/],
    ["304", answering(304, []), "DINP_INVALID", /answers 304/],
    [
      "what is no HTTP",
      (socket) => socket.write("220 mail.test ESMTP\r\n"),
      "DINP_UNAVAILABLE",
      /not answer in HTTP/,
    ],
    ["nothing, and the end", (socket) => socket.destroy(), "DINP_UNAVAILABLE", /broke the connection/],
    ["nothing", () => undefined, "DINP_TIMEOUT", /did not answer in time/],
    ["a head without an end", dripping(head, "x-a: b\r\n", 50), "DINP_TIMEOUT", /did not answer in time/],
    [
      "interim answers without end",
      dripping("", "HTTP/1.1 103 X\r\n\r\n", 50),
      "DINP_TIMEOUT",
      /not answer in time/,
    ],
    [
      "a huge head",
      (socket) => socket.write(`${head}x: ${"a".repeat(100_000)}`),
      "DINP_UNAVAILABLE",
      /more header fields/,
    ],
    [
      "a body that stops",
      (socket) => socket.write(`${head}content-length: 9\r\n\r\nab`),
      "DINP_TIMEOUT",
      /stopped sending/,
    ],
    ["a slow body", dripping(`${head}\r\n`, "x", 50), "DINP_TIMEOUT", /took longer than 0\.9 s/],
    [
      "a body that is cut",
      (socket) => socket.end(`${head}content-length: 9\r\n\r\nab`),
      "DINP_UNAVAILABLE",
      /broke/,
    ],
    [
      "cut chunks",
      (socket) => socket.end(`${head}transfer-encoding: chunked\r\n\r\n5\r\nab`),
      "DINP_UNAVAILABLE",
      /broke/,
    ],
    [
      "a length beyond what may be",
      (socket) => socket.write(`${head}content-length: 1000001\r\n\r\n`),
      "DINP_TOO_LARGE",
      /larger than 1000000 bytes/,
    ],
    [
      "an endless body",
      dripping(`${head}\r\n`, "x".repeat(100_000), 1),
      "DINP_TOO_LARGE",
      /larger than 1000000 bytes/,
    ],
  ] satisfies readonly (readonly [string, Behaviour, DinpErrorCode, RegExp])[])(
    "are refused in bounded time: %s",
    async (_name, behave, code, message) => {
      await using server = await startUploadServer(ALLOWED, behave);
      const { refused } = fetcherWith({}, { allow: [parseUploadPlace(ALLOWED)], limits });
      await refused(`http://${ALLOWED}:${String(server.port)}/f?secret`, code, message);
      await until(() => server.open() === 0, "the end of the connection");
    },
  );

  it("says what hosts are not there, and what cannot be looked up in time", async () => {
    await fetcherWith().refused("http://none.test/", "DINP_INVALID", /There is no host none\.test/);
    await fetcherWith({ "empty.test": [[]] }).refused(
      "http://empty.test/",
      "DINP_INVALID",
      /There is no host/,
    );
    const never = { resolve: () => new Promise<readonly string[]>(() => undefined), limits };
    await fetcherWith({}, never).refused(
      "http://slow.test/",
      "DINP_TIMEOUT",
      /could not be looked up in time/,
    );
    const again = { resolve: () => Promise.reject(Object.assign(new Error("x"), { code: "EAI_AGAIN" })) };
    await fetcherWith({}, again).refused("http://flaky.test/", "DINP_UNAVAILABLE", /cannot be looked up now/);
    const gone = await startUploadServer(ALLOWED, serving(""));
    await gone[Symbol.asyncDispose]();
    const url = `http://${ALLOWED}:${String(gone.port)}/`;
    await fetcherWith().refused(url, "DINP_UNAVAILABLE", /127\.0\.0\.2 refuses connections \(ECONNREFUSED\)/);
  });

  it("end with the signal, with their reader, and while nobody reads", async () => {
    await using server = await startUploadServer(ALLOWED, dripping(`${head}\r\n`, "x", 20));
    const url = `http://${ALLOWED}:${String(server.port)}/`;
    const { open } = fetcherWith();
    for await (const piece of open(url)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await until(() => server.open() === 0, "the end after its reader left");
    for (const isReading of [true, false]) {
      const stop = new AbortController();
      const pieces = open(url, BYTES_MAX, stop.signal)[Symbol.asyncIterator]();
      await pieces.next();
      const next = isReading ? pieces.next() : null;
      next?.catch(() => undefined);
      stop.abort();
      await until(() => server.open() === 0, "the end after the signal");
      await expect(next ?? pieces.next()).rejects.toMatchObject({ code: "DINP_ABORTED" });
    }
    const stopped = open(url, BYTES_MAX, AbortSignal.abort())[Symbol.asyncIterator]();
    await expect(stopped.next()).rejects.toMatchObject({ code: "DINP_ABORTED" });
    expect(server.taken()).toBe(3);
  });
});

describe("uploads by URL: TLS", () => {
  it("checks the name's certificate, keeps the name in the handshake, and never leaves encryption", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dinp-url-"));
    const { ca, certificate, key } = await makeCertificates(folder);
    const names: unknown[] = [];
    await using plain = await startUploadServer(ALLOWED, serving("secret"));
    const server = createServer({ cert: await readFile(certificate), key: await readFile(key) });
    server.on("secureConnection", (socket) => names.push(socket.servername));
    server.on("request", (request, answer) => {
      if (request.url === "/down")
        answer.writeHead(302, { location: `http://plain.test:${String(plain.port)}/` });
      answer.end("over TLS");
    });
    await new Promise<void>((resolve) => server.listen(0, ALLOWED, resolve));
    const address = server.address();
    const port = String(typeof address === "object" ? address?.port : 0);
    const known = { localhost: [[ALLOWED]], "other.test": [[ALLOWED]], "plain.test": [[ALLOWED]] };
    try {
      const trusting = fetcherWith(known, {
        ca: await readFile(ca, "utf8"),
        allow: [parseUploadPlace(ALLOWED)],
      });
      expect(await trusting.text(`https://localhost:${port}/`)).toBe("over TLS");
      expect(names).toEqual(["localhost"]);
      const isNotTrusted = /certificate of .* is not trusted/;
      await trusting.refused(`https://other.test:${port}/`, "DINP_UNAVAILABLE", isNotTrusted);
      await fetcherWith(known).refused(`https://localhost:${port}/`, "DINP_UNAVAILABLE", isNotTrusted);
      await trusting.refused(
        `https://localhost:${port}/down`,
        "DINP_INVALID",
        /redirects to plain\.test.* without encryption/,
      );
      expect(plain.taken()).toBe(0);
      const noTls = `https://plain.test:${String(plain.port)}/`;
      await trusting.refused(noTls, "DINP_UNAVAILABLE", /does not speak TLS|broke the connection/);
    } finally {
      await new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      });
      await rm(folder, { recursive: true, force: true });
    }
  });
});
