import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { serveStaticFiles } from "@dinp/core/static-files";
import { buildScript } from "./process-support/build-script.js";
import { freePort } from "./process-support/harness.js";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function site() {
  const folder = await mkdtemp("/tmp/dinp-static-");
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const root = join(folder, "site");
  await mkdir(join(root, "sub dir"), { recursive: true });
  await mkdir(join(root, "empty"));
  await mkdir(join(root, ".git"));
  await mkdir(join(root, ".well-known"));
  await mkdir(join(folder, "site-other"));
  const files = {
    "index.html": "<h1>home</h1>",
    "404.html": "<h1>lost</h1>",
    "a.txt": "0123456789",
    "sub dir/index.html": "sub",
    ".git/config": "hidden",
    ".well-known/x": "known",
    "ü.css": "css",
    "../secret": "secret",
    "../site-other/secret": "secret",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  await utimes(join(root, "a.txt"), 1_700_000_000, 1_700_000_000.5);
  await symlink("../secret", join(root, "escape"));
  await symlink("../site-other", join(root, "escape-dir"));
  await symlink("a.txt", join(root, "inner"));
  await symlink("loop", join(root, "loop"));
  const errors: unknown[] = [];
  const server = await serveStaticFiles({
    dir: root,
    port: 0,
    host: "127.0.0.1",
    onError: (error) => errors.push(error),
  });
  onTestFinished(() => server.close(0));
  const ask = (
    path: string,
    options: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      // node:http sends the path as it is; fetch would tidy it.
      const asked = request(
        { host: "127.0.0.1", port: server.port, path, agent: false, ...options },
        (response) => {
          let body = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
          response.on("error", reject);
          response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
          });
        },
      );
      asked.on("error", reject).end();
    });
  return { folder, root, server, ask, errors };
}

describe("static files", () => {
  it.each([
    ["/", 200, "<h1>home</h1>"],
    ["/index.html?x=1", 200, "<h1>home</h1>"],
    ["/a.txt", 200, "0123456789"],
    ["/inner", 200, "0123456789"],
    ["/sub%20dir/", 200, "sub"],
    ["/%C3%BC.css", 200, "css"],
    ["/.well-known/x", 200, "known"],
    ["/none", 404, "<h1>lost</h1>"],
    ["/empty/", 404, "<h1>lost</h1>"],
    ["/a.txt/", 404, "<h1>lost</h1>"],
    ["/.git/config", 404, "<h1>lost</h1>"],
    ["/%2egit/config", 404, "<h1>lost</h1>"],
    ["/escape", 404, "<h1>lost</h1>"],
    ["/escape-dir/secret", 404, "<h1>lost</h1>"],
    ["/loop", 404, "<h1>lost</h1>"],
    [`/${"x".repeat(300)}`, 404, "<h1>lost</h1>"],
    ["/../secret", 400, "Bad request\n"],
    ["/%2e%2e/secret", 400, "Bad request\n"],
    ["/..%2fsecret", 400, "Bad request\n"],
    ["/a%00.txt", 400, "Bad request\n"],
    ["/%zz", 400, "Bad request\n"],
  ])("GET %s gives %i", async (path, status, body) => {
    const { ask, errors } = await site();
    const answer = await ask(path);
    expect([answer.status, answer.body]).toEqual([status, body]);
    expect(errors).toEqual([]);
  });

  it("names the type and does not let it be guessed", async () => {
    const { ask } = await site();
    expect((await ask("/a.txt")).headers).toMatchObject({
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      "content-length": "10",
    });
    expect((await ask("/inner")).headers["content-type"]).toBe("application/octet-stream");
  });

  it("redirects a folder to its slash, on this host", async () => {
    const { ask } = await site();
    const answer = await ask("/sub%20dir?q=1");
    expect([answer.status, answer.headers["location"]]).toEqual([308, "/sub%20dir/?q=1"]);
    expect((await ask("//sub%20dir")).headers["location"]).toBe("/sub%20dir/");
  });

  it("HEAD has no body, other methods are refused", async () => {
    const { ask } = await site();
    const head = await ask("/a.txt", { method: "HEAD" });
    expect([head.status, head.body, head.headers["content-length"]]).toEqual([200, "", "10"]);
    for (const method of ["POST", "DELETE", "OPTIONS"]) {
      const answer = await ask("/a.txt", { method });
      expect([answer.status, answer.headers["allow"]]).toEqual([405, "GET, HEAD"]);
    }
  });

  it("answers conditional requests", async () => {
    const { ask } = await site();
    const { headers } = await ask("/a.txt");
    const etag = String(headers["etag"]);
    const modified = String(headers["last-modified"]);
    const status = async (fields: Record<string, string>): Promise<number> =>
      (await ask("/a.txt", { headers: fields })).status;
    expect(await status({ "if-none-match": etag })).toBe(304);
    expect(await status({ "if-none-match": `"x", W/${etag}` })).toBe(304);
    expect(await status({ "if-none-match": '"x"', "if-modified-since": modified })).toBe(200);
    expect(await status({ "if-modified-since": modified })).toBe(304);
    expect(await status({ "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT" })).toBe(200);
  });

  it.each([
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=0-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=10-", 416, "Range not satisfiable\n", "bytes */10"],
    ["bytes=-0", 416, "Range not satisfiable\n", "bytes */10"],
    ["bytes=4-2", 200, "0123456789", undefined],
    ["bytes=0-1,3-4", 200, "0123456789", undefined],
    ["lines=1-2", 200, "0123456789", undefined],
  ])("Range %s gives %i", async (range, status, body, contentRange) => {
    const { ask } = await site();
    const answer = await ask("/a.txt", { headers: { range } });
    expect([answer.status, answer.body, answer.headers["content-range"]]).toEqual([
      status,
      body,
      contentRange,
    ]);
    const other = await ask("/a.txt", { headers: { range, "if-range": '"other"' } });
    expect([other.status, other.body]).toEqual([200, "0123456789"]);
  });

  it("a file that shrinks under way breaks the answer instead of holding the client", async () => {
    const { ask, root, server } = await site();
    const file = join(root, "big.bin");
    await writeFile(file, Buffer.alloc(64 * 1024 * 1024));
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    // As long as nothing is read, the server cannot have sent the whole.
    await once(socket, "readable");
    await truncate(file, 1024);
    let bytes = 0;
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => (bytes += chunk.length));
    await once(socket, "close");
    expect(bytes).toBeLessThan(64 * 1024 * 1024);
    expect((await ask("/")).status).toBe(200);
  });

  it("clients that go away leave the server well", async () => {
    const { ask, root, server, errors } = await site();
    await writeFile(join(root, "big.bin"), Buffer.alloc(32 * 1024 * 1024));
    for (let i = 0; i < 10; i += 1) {
      const socket = connect(server.port, "127.0.0.1");
      socket.write("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
      await once(socket, "data");
      socket.destroy();
    }
    expect((await ask("/")).status).toBe(200);
    expect(errors).toEqual([]);
  });

  it("the program serves PORT, ends an answer that is under way on SIGTERM, and exits with 0", async () => {
    const { root } = await site();
    await writeFile(join(root, "big.bin"), Buffer.alloc(8 * 1024 * 1024));
    const script = await buildScript(fileURLToPath(new URL("../../src/bin/dinp-static.ts", import.meta.url)));
    onTestFinished(() => rm(dirname(script), { recursive: true }));
    const port = await freePort();
    const child = spawn(process.execPath, [script, root], {
      env: { PORT: String(port) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await once(socket, "readable");
    child.kill("SIGTERM");
    let bytes = 0;
    for await (const chunk of socket) bytes += (chunk as Buffer).length;
    expect(bytes).toBeGreaterThan(8 * 1024 * 1024);
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(0);
  });

  it("the program refuses wrong usage", async () => {
    const script = await buildScript(fileURLToPath(new URL("../../src/bin/dinp-static.ts", import.meta.url)));
    onTestFinished(() => rm(dirname(script), { recursive: true }));
    const codeOf = async (args: readonly string[], env: Record<string, string>): Promise<unknown> => {
      const child = spawn(process.execPath, [script, ...args], { env, stdio: "ignore" });
      return (await once(child, "exit"))[0];
    };
    expect(await codeOf([], { PORT: "1" })).toBe(2);
    expect(await codeOf(["."], {})).toBe(2);
    expect(await codeOf(["/no/such/folder"], { PORT: "0" })).toBe(1);
  });
});
