import { createServer, type Server } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { defaultCheck } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { createListenerGuard } from "@dinp/core/process";

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** A server of this process's user; gives its port. */
async function listen(host: string): Promise<number> {
  const server = createServer((_request, response) => response.end("here"));
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function probe(port: number, uidBase: number | null) {
  const prober = createListenerGuard(createHttpProber(), { uidBase });
  const signal = new AbortController().signal;
  return prober.probe({ host: "127.0.0.1", port, check: defaultCheck }, { timeoutMs: 5_000, signal });
}

const uid = process.getuid?.() ?? 0;

describe.each(["127.0.0.1", "0.0.0.0", "::"])("an answer from a listener on %s", (host) => {
  test("counts when the instance's own user listens", async () => {
    const port = await listen(host);
    expect(await probe(port, uid - port)).toMatchObject({ outcome: "success", status: 200 });
  });

  test("does not count when another user does, and says whose it is", async () => {
    const port = await listen(host);
    const result = await probe(port, 200_000);
    const reason = `port ${String(port)} is held by another program (user ${String(uid)})`;
    expect(result).toMatchObject({ outcome: "failure", reason });
  });
});

test("where instances share the platform's user, every answer counts", async () => {
  expect(await probe(await listen("127.0.0.1"), null)).toMatchObject({ outcome: "success" });
});

test("a failure stays what it was", async () => {
  const port = await listen("127.0.0.1");
  await new Promise((resolve) => servers.pop()?.close(resolve));
  expect(await probe(port, 200_000)).toMatchObject({ outcome: "failure", reason: "connection refused" });
});
