import { request } from "node:http";

/** What a container is, as the engine's API says; only what tests look at. */
export interface EngineContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  /** The name that it was made of; a digest when that is another image's by now. */
  readonly Image: string;
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** The engine as tests see it, past the adapter. */
export class EngineClient {
  readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
  }

  /** The answer's JSON; rejects with the engine's words. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
      const asked = request(
        {
          socketPath: this.socket,
          method,
          path: `/v1.41${path}`,
          agent: false,
          headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, answer: Buffer.concat(chunks).toString() });
          });
        },
      );
      asked.on("error", reject);
      asked.end(text);
    });
    if (status >= 400) throw new Error(`${method} ${path}: ${String(status)} ${answer}`);
    return answer.trim() === "" ? null : (JSON.parse(answer) as unknown);
  }

  async containers(label: string): Promise<readonly EngineContainer[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    return (await this.ask(
      "GET",
      `/containers/json?all=true&filters=${filters}`,
    )) as readonly EngineContainer[];
  }

  /** The machine's address on the engine's own bridge. */
  async hostAddress(): Promise<string> {
    const network = (await this.ask("GET", "/networks/bridge")) as {
      readonly IPAM: { readonly Config: readonly { readonly Gateway?: string; readonly Subnet: string }[] };
    };
    const [config] = network.IPAM.Config;
    return config?.Gateway ?? config?.Subnet.replace(/\.0\/\d+$/, ".1") ?? "";
  }

  /** Removes all that a cluster has on the engine. */
  async removeCluster(clusterId: string): Promise<void> {
    for (const { Id } of await this.containers(`io.dinp.cluster=${clusterId}`)) {
      await this.ask("DELETE", `/containers/${Id}?force=true&v=true`).catch(ignoreGone);
    }
    const images = (await this.ask("GET", "/images/json")) as readonly {
      readonly RepoTags: readonly string[] | null;
      readonly RepoDigests: readonly string[] | null;
    }[];
    for (const { RepoTags, RepoDigests } of images) {
      const own = (RepoTags ?? []).filter((name) => name.startsWith(`dinp-${clusterId}/`));
      const pulled = own.some((name) => name.endsWith("-pulled")) ? (RepoDigests ?? []) : [];
      for (const name of [...own, ...pulled])
        await this.ask("DELETE", `/images/${encodeURIComponent(name)}`).catch(ignoreGone);
    }
    const filters = encodeURIComponent(JSON.stringify({ label: [`io.dinp.cluster=${clusterId}`] }));
    const volumes = (await this.ask("GET", `/volumes?filters=${filters}`)) as {
      readonly Volumes: readonly { readonly Name: string }[] | null;
    };
    for (const { Name } of volumes.Volumes ?? []) await this.ask("DELETE", `/volumes/${Name}`);
  }
}

function ignoreGone(error: unknown): void {
  if (!/: 40[49] /.test(String(error))) throw error;
}
