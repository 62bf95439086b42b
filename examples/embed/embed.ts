// A whole platform in this process: pushes an app and asks it. Usage: node embed.js APP_FOLDER DATA_FOLDER
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createBuilder, readImage, startPlatform } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { createHttpRouter } from "@dinp/core/http-router";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createImageUnpacker, createProcessRuntime } from "@dinp/core/process";
import * as system from "@dinp/core/system";
import { createTarArchive, packDirectory } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";

const [app = ".", dataDir = "data"] = process.argv.slice(2);
const clock = system.createSystemClock();
const [random, hasher] = [system.createSystemRandom(), system.createNodeHasher()];
const logger = system.createPinoLogger({ level: "warn" });
const shared = { clock, random, hasher, logger, clusterId: "embedded" };
const store = createMemoryStateStore({ clock });
const table = createMemoryRouteTable({ random });
const registry = createOciLayoutRegistry({ dir: join(dataDir, "registry") });
const archive = createTarArchive();
const unpack = createImageUnpacker({ registry, archive, readImage });
const searchPath = (process.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
const runtime = createProcessRuntime({ ...shared, dataDir: join(dataDir, "node"), unpack, searchPath });
await Promise.all([store.open(), runtime.open()]);

const { platform, follower, stop } = await startPlatform({
  ...{ ...shared, store, table, runtime, link: createInProcessControlLink(), prober: createHttpProber() },
  builder: createBuilder({ ...shared, registry, archive, parseYaml }),
  state: system.createFileLocalState({ dir: join(dataDir, "agent") }),
  ports: { range: { first: 20_000, last: 29_999 }, isFree: (port) => system.isPortFree(port) },
  ...{ appsDomain: "apps.localhost", routerUrl: () => "http://127.0.0.1" },
});
const forwarder = await loadHttpProxyForwarder();
const listen = { host: "127.0.0.1", port: 0 };
const router = createHttpRouter({ ...shared, listen, routerId: "local", follower, forwarder });
const { port } = await router.start();

const as = { caller: { tokenId: "embedded", subject: "embedded", role: "admin" } } as const;
const { bytes } = await packDirectory(app);
const build = await platform.createBuild("hello", { bytes }, as);
const { number } = await platform.createRelease("hello", { buildId: build.id }, as);
const signal = AbortSignal.timeout(60_000);
for await (const { state, reason } of platform.followRollout("hello", number, { signal }))
  console.log(`release ${String(number)}: ${state}, ${reason}`);
const request = { port, headers: { host: "hello.apps.localhost" } };
const answer = await new Promise<IncomingMessage>((resolve) => void get(request, resolve));
console.log(`${String(answer.statusCode)}: ${/<h1>.*<\/h1>/.exec(await text(answer))?.[0] ?? ""}`);

await router.close({ drainMs: 1_000 });
await Promise.all([forwarder.close(), stop()]);
await runtime.stopAll({ graceMs: 1_000 });
await Promise.all([runtime.close(), table.close(), store.close()]);
