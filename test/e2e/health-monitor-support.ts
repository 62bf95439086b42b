import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { ExitCause, InstanceId, InstanceSpec, Prober, RuntimeInstance } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { ScriptedRuntime } from "../loops/scripted-runtime.js";
import { projectRoot } from "./harness.js";

/** The built `dinp-hm`: with vitest alone, run `npm run build` first. */
export const program = join(projectRoot, "dist/bin/dinp-hm.js");

/** The network before one instance, which can be cut. */
class Gateway {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  isCut = false;

  constructor(appPort: number) {
    this.#server = createTcpServer((client) => {
      if (this.isCut) client.destroy();
      else this.#join(client, connect(appPort, "127.0.0.1"));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return portOf(this.#server);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, app: Socket): void {
    for (const [socket, other] of [
      [client, app],
      [app, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

/** A node whose instances are HTTP servers, each reached from outside through a gateway of its own. */
export class ServingRuntime extends ScriptedRuntime {
  readonly #apps = new Map<InstanceId, HttpServer>();
  readonly #gateways = new Map<InstanceId, Gateway>();
  /** By the gateway's port, that of the app. */
  readonly #appPorts = new Map<number, number>();

  override async start(spec: InstanceSpec): Promise<RuntimeInstance> {
    const known = this.instances.get(spec.instanceId);
    if (known !== undefined) return known;
    const app = createServer((_request, response) => response.end(spec.instanceId));
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    const gateway = new Gateway(portOf(app));
    const port = await gateway.listen();
    this.#apps.set(spec.instanceId, app);
    this.#gateways.set(spec.instanceId, gateway);
    this.#appPorts.set(port, portOf(app));
    return await super.start({ ...spec, port });
  }

  override end(instanceId: InstanceId, cause: ExitCause): void {
    this.#gateways.get(instanceId)?.close();
    this.#apps.get(instanceId)?.close();
    super.end(instanceId, cause);
  }

  /** What an agent on the node probes by: it needs no gateway. */
  localProber(): Prober {
    const prober = createHttpProber();
    return {
      probe: (target, options) =>
        prober.probe({ ...target, port: this.#appPorts.get(target.port) ?? target.port }, options),
    };
  }

  /** From now on nobody outside of the node reaches them. */
  cut(...ids: readonly InstanceId[]): void {
    for (const id of ids) this.#gatewayOf(id).isCut = true;
  }

  mend(): void {
    for (const gateway of this.#gateways.values()) gateway.isCut = false;
  }

  override async close(): Promise<void> {
    for (const id of this.running) this.end(id, "stopped");
    await super.close();
  }

  #gatewayOf(id: InstanceId): Gateway {
    const gateway = this.#gateways.get(id);
    if (gateway === undefined) throw new Error(`${id} was not started`);
    return gateway;
  }
}

export interface RunningMonitor {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts the program at the pace of a test. */
export function startMonitor(storeUrl: string, ...more: readonly string[]): RunningMonitor {
  const pace = [
    ...["--interval-min", "100ms", "--interval-max", "200ms", "--failures", "2", "--successes", "2"],
    ...["--calm", "1s", "--lease", "10s", "--store-poll", "100ms"],
  ];
  const args = [program, "--store-url", storeUrl, "--id", "hm-1", ...pace, ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, output: () => stdout, errors: () => stderr, ended };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
