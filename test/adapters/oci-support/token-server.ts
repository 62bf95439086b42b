import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface TokenRequest {
  readonly method: string;
  readonly authorization: string | null;
  readonly parameters: URLSearchParams;
}

/** What a token grants and how long it lasts, or the status of a refusal. */
export type TokenAnswer =
  | {
      /** By scope (`repository:NAME:ACTIONS`); what is not in it is not granted. */
      readonly scopes: readonly string[];
      /** What it says of its end, in seconds. */
      readonly expiresIn?: number;
      /** When it really ended or ends, in seconds from now. Default `expiresIn`. */
      readonly endsIn?: number;
    }
  | { readonly status: number };

/** A token service that the registry trusts (distribution's token authentication specification), signing real tokens. */
export class TokenServer {
  readonly requests: TokenRequest[] = [];
  readonly service = "dinp-test-registry";
  readonly issuer = "dinp-test-tokens";
  decide: (request: TokenRequest) => TokenAnswer = (request) => ({
    scopes: request.parameters.getAll("scope").flatMap((scope) => scope.split(" ")),
  });
  readonly #certificate: string;
  readonly #key: string;
  readonly #server = createServer((incoming, response) => {
    void this.#answer(incoming, response).catch(() => response.destroy());
  });

  private constructor(certificate: string, key: string) {
    this.#certificate = certificate;
    this.#key = key;
  }

  /** `certificate` and `key` are files; the registry trusts the certificate's authority. */
  static async start(certificate: string, key: string): Promise<TokenServer> {
    const server = new TokenServer(readFileSync(certificate, "utf8"), readFileSync(key, "utf8"));
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get realm(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/token`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of incoming) body += String(chunk);
    const method = incoming.method ?? "";
    const query = new URL(incoming.url ?? "", this.realm).searchParams;
    const parameters = method === "POST" ? new URLSearchParams(body) : query;
    const request = { method, authorization: incoming.headers.authorization ?? null, parameters };
    this.requests.push(request);
    const decision = this.decide(request);
    if ("status" in decision) {
      response.writeHead(decision.status).end();
      return;
    }
    const { scopes, expiresIn = 300, endsIn = expiresIn } = decision;
    const token = this.#sign(scopes, endsIn);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ token, access_token: token, expires_in: expiresIn }));
  }

  #sign(scopes: readonly string[], endsIn: number): string {
    const now = Math.floor(Date.now() / 1_000);
    const header = {
      typ: "JWT",
      alg: "ES256",
      x5c: [new X509Certificate(this.#certificate).raw.toString("base64")],
    };
    const access = scopes.map((scope) => {
      const [type, name, actions = ""] = scope.split(":");
      return { type, name, actions: actions.split(",") };
    });
    const claims = {
      iss: this.issuer,
      sub: "tester",
      aud: this.service,
      exp: now + endsIn,
      nbf: now - 3_600,
      iat: now - 3_600,
      jti: randomUUID(),
      access,
    };
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const key = createPrivateKey(this.#key);
    const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  }
}
