import "reflect-metadata";
import { chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { container as root, type DependencyContainer } from "tsyringe";
import { builtInTemplates, DinpError, type LocalState } from "@dinp/core";
import { createFileLocalState, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { createWebSocketLinkClient, type WebSocketLinkClientOptions } from "@dinp/core/websocket";
import { imageRegistryOf, registryCredentials } from "../cluster/image-registry.js";
import { part, provide, registerAgent, tokens } from "../compose/index.js";
import { agentSection } from "../config/agent-section.js";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import type { Settings, ValuesOf } from "../config/setting.js";
import { clusterSection, registrySection } from "../config/shared-sections.js";
import { createNodeRuntime, openNodeRuntime, type NodeRuntime } from "../node/node-runtime.js";
import type { Program, ProgramContext } from "../service/run-program.js";
import { watchLink } from "./watched-link.js";

const settings = {
  agent: agentSection,
  cluster: { id: clusterSection.id },
  registry: registrySection,
} as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-agent`; `staticServer`: the program that serves static sites, one file without imports. */
export function createAgentProgram(staticServer: string): Program<typeof settings> {
  return {
    name: "dinp-agent",
    ownSection: "agent",
    settings,
    about: `Runs the instances of one machine as the leading server says, probes them, and reports. It calls the servers and keeps one
connection; it opens no port itself. The first start needs a join token (dinp nodes join-token).

SIGTERM and SIGINT: the agent ends, and its instances go on running; the next start takes them over. Exit codes: 0 stopped
by a signal, 1 failed, 2 wrong usage.`,
    check: async (config) => {
      await linkOptions(config, resolve(config.agent.dataDir));
      const parts = { clock: createSystemClock(), random: createSystemRandom() };
      await (await imageRegistryOf(config.registry, parts)).close();
      return [];
    },
    run: (config, context) => run(config, context, staticServer),
  };
}

async function run(config: Config, context: ProgramContext, staticServer: string): Promise<void> {
  const { logger, metrics, observer, interrupt, undo, say } = context;
  const { agent: own } = config;
  const container = root.createChildContainer();
  provide(container, tokens.logger, () => logger);
  registerAgent(container);
  const dataDir = resolve(own.dataDir);
  const folders = await prepareFolders(dataDir);
  const state = createFileLocalState({ dir: folders.agent });
  await assertSameNode(state, config);
  const { link, isConnected } = watchLink(
    createWebSocketLinkClient({ ...(await linkOptions(config, dataDir)), logger }),
  );
  const node = await openRuntime(config, context, container, { folder: folders.node, staticServer });
  const fenced = metrics.counter({
    name: "dinp_agent_fenced_total",
    help: "Messages of servers that were refused because a newer leader was heard of before",
  });
  const facts = {
    nodeId: own.id,
    address: own.address,
    labels: Object.fromEntries(own.labels),
    ports: own.ports,
    onFenced: () => {
      fenced.add();
    },
  };
  provide(container, tokens.nodeFacts, () => facts);
  provide(container, tokens.localState, () => state);
  provide(container, tokens.runtime, () => node.runtime);
  provide(container, tokens.prober, () => node.prober);
  provide(container, tokens.controlLinkClient, () => link);
  metrics.gauge({ name: "dinp_agent_connected", help: "1 while a server that leads is connected" }, () =>
    isConnected() ? 1 : 0,
  );
  observer.check("server", () => (isConnected() ? null : "no server that leads is connected"));
  const working = new AbortController();
  const ended = part(container, tokens.agent).run(working.signal);
  ended.catch(() => undefined);
  undo.push(async () => {
    working.abort();
    await ended;
  });
  say(`dinp-agent ${own.id} runs instances at ${own.address} (${own.runtime})`);
  await Promise.race([interrupt.stopped(), ended]);
  observer.end();
}

async function openRuntime(
  { agent: own, cluster, registry: registryConfig }: Config,
  { logger, undo }: ProgramContext,
  container: DependencyContainer,
  { folder, staticServer }: { readonly folder: string; readonly staticServer: string },
): Promise<NodeRuntime> {
  const [clock, random] = [part(container, tokens.clock), part(container, tokens.random)];
  const registry = await imageRegistryOf(registryConfig, { clock, random });
  undo.push(() => registry.close());
  const { host, pathname } = new URL(registryConfig.url);
  const credentials = registryCredentials(registryConfig);
  const node = await createNodeRuntime({
    ...{ folder, registry, staticServer, clock, logger },
    kind: own.runtime,
    clusterId: cluster.id,
    address: own.address,
    dockerSocket: own.dockerSocket,
    archive: createTarArchive(),
    templates: builtInTemplates,
    ...(own.images === "pull"
      ? {
          pull: {
            host: `${host}${pathname.replace(/\/$/, "")}`,
            credentials: () => Promise.resolve(credentials),
          },
        }
      : {}),
  });
  undo.push(() => node.runtime.close());
  const { runtime: kind, dockerSocket } = own;
  await openNodeRuntime(node, { kind, dockerSocket, socketFlag: "--docker-socket PATH" });
  return node;
}

async function prepareFolders(dataDir: string): Promise<{ readonly agent: string; readonly node: string }> {
  const folders = { agent: join(dataDir, "agent"), node: join(dataDir, "node") };
  await mkdir(dataDir, { recursive: true });
  await mkdir(folders.agent, { recursive: true, mode: 0o700 });
  await mkdir(folders.node, { recursive: true });
  // Instances of other users must be able to pass through to what they run, whatever the umask says.
  await chmod(dataDir, 0o711);
  await chmod(folders.node, 0o711);
  return folders;
}

/**
 * Two nodes must not share a folder, and instances of one runtime or cluster are not seen by another: they would run on,
 * and the server would be told that they are gone.
 */
async function assertSameNode(state: LocalState, { agent, cluster }: Config): Promise<void> {
  for (const [key, name, value] of [
    ["node-id", "agent.id", agent.id],
    ["cluster-id", "cluster.id", cluster.id],
    ["runtime", "agent.runtime", agent.runtime],
  ] as const) {
    const known = await state.read(key);
    if (known === null) await state.write(key, value);
    else if (known !== value) {
      throw new DinpError("DINP_INVALID", `${name} is ${value}, but this folder's is ${known}.`, {
        hint: `Set ${name} to ${known}, or give this agent another folder (agent.dataDir) to begin anew.`,
      });
    }
  }
}

async function linkOptions(
  { agent }: Config,
  dataDir: string,
): Promise<Omit<WebSocketLinkClientOptions, "logger">> {
  const { servers, joinToken, plaintext, caFile } = agent;
  const problems: string[] = [];
  if (servers.length === 0) problems.push("agent.servers is missing: name the servers' link URLs");
  if (!plaintext && servers.some((server) => server.startsWith("http:"))) {
    problems.push(
      "agent.servers has http:// in it, where the node's key can be read on its way: set agent.plaintext to true if that is meant",
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const ca = await readPem("agent.caFile", caFile);
  return {
    ...{ servers, plaintext },
    state: createFileLocalState({ dir: join(dataDir, "link") }),
    ...(joinToken === null ? {} : { joinToken }),
    ...(ca === null ? {} : { ca }),
  };
}
