import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@dinp/core/client";
import { it } from "vitest";
import { writeSync } from "node:fs";

it("x", async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => { resolve(); }));
  let sent = 0;
  const endless = {
    async *[Symbol.asyncIterator]() {
      for (;;) {
        await Promise.resolve();
        sent += 65_536;
        if (sent % (65536*100) === 0) writeSync(2, `sent ${String(sent)}\n`);
        if (sent > 65536*1000) throw new Error("too much");
        yield new Uint8Array(65_536);
      }
    },
  };
  const stop = new AbortController();
  const port = (server.address() as AddressInfo).port;
  const p = createClient({ url: `http://127.0.0.1:${String(port)}` }).createBuild("hello", endless, { signal: stop.signal }).catch((e: unknown) => { writeSync(2, `failed ${String(e)}\n`); });
  for (let i = 0; i < 5; i++) { await new Promise((r) => setTimeout(r, 200)); writeSync(2, `tick ${String(sent)}\n`); }
  stop.abort();
  await p;
  server.close(); server.closeAllConnections();
});
