import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { createClient, type Client, type Exchange } from "@dinp/core/client";
import { createHttpApi, type HttpApi, type HttpApiOptions } from "@dinp/core/http-api";
import type { PlatformOptions } from "@dinp/core";
import { createWorld, type World } from "../platform/world.js";

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Default: with the world's token. */
  readonly token?: string | null;
}

/** A platform behind its HTTP API on a free port, with a client that is logged in. */
export interface ApiWorld extends AsyncDisposable {
  readonly world: World;
  readonly api: HttpApi;
  readonly url: string;
  readonly client: Client;
  raw(request: RawRequest): Promise<RawAnswer>;
  json(
    request: Omit<RawRequest, "body"> & { readonly json?: unknown },
  ): Promise<RawAnswer & { readonly body: unknown }>;
}

export async function createApiWorld(
  { exchange, ...options }: Partial<HttpApiOptions> & { readonly exchange?: Exchange } = {},
  platformOptions: Partial<PlatformOptions> = {},
): Promise<ApiWorld> {
  const world = await createWorld(platformOptions);
  const api = createHttpApi({
    platform: world.platform,
    logger: world.logger,
    listen: { host: "127.0.0.1", port: 0 },
    ...options,
  });
  const url = await api.start();
  const raw = (request: RawRequest): Promise<RawAnswer> => send(url, world.secret, request);
  return {
    world,
    api,
    url,
    client: createClient({ url, token: world.secret, exchange }),
    raw,
    json: async ({ json, ...request }) => {
      const answer = await raw({
        ...request,
        headers: {
          ...(json === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      });
      return { ...answer, body: JSON.parse(answer.text) as unknown };
    },
    async [Symbol.asyncDispose]() {
      await api.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

function send(url: string, secret: string, request: RawRequest): Promise<RawAnswer> {
  const token = request.token === undefined ? secret : request.token;
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      new URL(url),
      {
        method: request.method,
        path: request.path,
        headers: { ...authorization, ...request.headers },
        agent: false,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(request.body);
  });
}
