import { once } from "node:events";
import { createServer, request, type IncomingMessage, type RequestListener } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { createApiWorld } from "./http-api-world.js";

/** A server that leads, as the test says. */
async function leader(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("It has no port.");
  return `http://127.0.0.1:${String(address.port)}`;
}

const errorOf = (text: string): unknown => (JSON.parse(text) as { error: unknown }).error;

/** Begins an upload through a server that does not lead, and never ends it. */
async function beginUpload(leaderUrl: string): Promise<{ readonly status: number; readonly text: string }> {
  await using api = await createApiWorld({ peers: { leads: () => false, leaderUrl: () => leaderUrl } });
  const asking = request(`${api.url}/v1/apps/shop/builds`, {
    method: "POST",
    headers: { authorization: `Bearer ${api.world.secret}`, "content-length": String(100 * 1024 * 1024) },
  });
  // The rest may be refused once the answer is there.
  asking.on("error", () => undefined);
  asking.write(Buffer.alloc(1024 * 1024));
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  asking.destroy();
  return { status: answer.statusCode ?? 0, text };
}

it("gives the answer to an upload that the leader refuses before it has read it", async () => {
  const url = await leader((_incoming, outgoing) => {
    outgoing.writeHead(413).end("too much");
  });
  expect(await beginUpload(url)).toEqual({ status: 413, text: "too much" });
});

it("gives the answer to an upload that is refused by a server that leads no more, and closes the connection", async () => {
  await using former = await createApiWorld({ peers: { leads: () => false, leaderUrl: () => null } });
  for (let round = 0; round < 5; round += 1) {
    const { status, text } = await beginUpload(former.url);
    expect(status).toBe(503);
    expect(errorOf(text)).toMatchObject({
      code: "DINP_UNAVAILABLE",
      message: expect.stringMatching(/No server leads/),
    });
  }
});

it("says what is known of an upload whose leader died half way", async () => {
  const url = await leader((incoming) => {
    incoming.once("data", () => incoming.socket.destroy());
  });
  const { status, text } = await beginUpload(url);
  expect(status).toBe(503);
  expect(errorOf(text)).toMatchObject({
    code: "DINP_COMMIT_UNKNOWN",
    hint: expect.stringContaining("see how things stand") as string,
  });
});

it("waits no longer for a leader that stands still when another one leads, and asks no second one", async () => {
  const asked: string[] = [];
  let hear: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => (hear = resolve));
  const still = await leader((incoming) => {
    asked.push(`still ${incoming.method ?? ""}`);
    hear();
  });
  const next = await leader((incoming, outgoing) => {
    asked.push(`next ${incoming.method ?? ""}`);
    outgoing.end("{}");
  });
  let leaderUrl = still;
  await using api = await createApiWorld({ peers: { leads: () => false, leaderUrl: () => leaderUrl } });
  const answering = api.raw({ method: "PUT", path: "/v1/apps/shop/scale", body: '{"instances":3}' });
  await heard;
  leaderUrl = next;
  const { status, text } = await answering;
  expect(status).toBe(503);
  expect(errorOf(text)).toMatchObject({ code: "DINP_COMMIT_UNKNOWN" });
  expect(text).toContain("another server leads by now");
  expect(asked).toEqual(["still PUT"]);
});
