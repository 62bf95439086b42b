import { DinpError, type Clock } from "@dinp/core";
import { parseChallenges, type Challenge } from "./challenge.js";
import { abortable } from "./concurrency.js";
import { statusError, unavailable } from "./errors.js";
import type { OciCredentials, OciSettings } from "./options.js";
import { parseJson, textOf } from "./json.js";
import { parseRetryAfter } from "./retry.js";
import type { Answer } from "./answer.js";
import type { Transport } from "./transport.js";

/** Of a token that says nothing of its end (distribution's token authentication specification). */
const TOKEN_SECONDS = 60;
const TOKEN_ANSWER_BYTES_MAX = 1024 * 1024;
const TOKENS_MAX = 1_000;

interface Token {
  readonly value: string;
  /** On the monotonic clock. */
  readonly staleAtMs: number;
}

/** Where tokens come from. */
interface TokenService {
  readonly realm: URL;
  readonly service: string | null;
}

/**
 * What the `Authorization` field says: nothing, until the registry asks; then a user and password, or a token for the
 * scope, taken from the registry's token service and renewed before its end. Callers at the same time share one token.
 */
export class Authenticator {
  readonly #settings: OciSettings;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Token>();
  readonly #fetching = new Map<string, Promise<Token>>();
  readonly #secrets = new Set<string>();
  #basic: string | null = null;
  #service: TokenService | null = null;

  constructor(settings: OciSettings, transport: Transport) {
    this.#settings = settings;
    this.#transport = transport;
    this.#clock = settings.clock;
  }

  /** The field for a request of this scope, as far as it is known what the registry wants; null for none. */
  async authorization(scope: string, signal: AbortSignal | undefined): Promise<string | null> {
    if (this.#service === null) return this.#basic;
    const token = this.#tokens.get(scope);
    if (token !== undefined && this.#isFresh(token)) return `Bearer ${token.value}`;
    return `Bearer ${(await this.#fetchToken(scope, scope, signal)).value}`;
  }

  /**
   * The field to try again with, after an answer of status 401 to `sent`. `DINP_UNAUTHENTICATED` when the registry wants
   * credentials that there are none of, or refused those that there are.
   */
  async renew(
    answer: Answer,
    scope: string,
    sent: string | null,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const challenges = parseChallenges(answer.header("www-authenticate") ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return await this.#renewToken(answer, bearer, scope, sent, signal);
    if (!challenges.some(({ scheme }) => scheme === "basic")) {
      throw unavailable("The registry asks for an authentication that is neither Basic nor Bearer.", {
        hint: "Is this the address of a registry?",
      });
    }
    this.#service = null;
    const credentials = await this.#settings.credentials();
    if (credentials === null || "identityToken" in credentials) {
      throw refused("The registry wants a user and a password.", "Give it some.");
    }
    this.#basic = this.#basicField(credentials);
    if (this.#basic === sent) throw refused("The registry refuses the user or the password.");
    return this.#basic;
  }

  /** A text of a server's without the secrets that this client has sent. */
  redact(text: string): string {
    let redacted = text;
    for (const secret of this.#secrets) redacted = redacted.replaceAll(secret, "***");
    return redacted;
  }

  async #renewToken(
    answer: Answer,
    { parameters }: Challenge,
    scope: string,
    sent: string | null,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const token = this.#tokens.get(scope);
    const isNewer = token !== undefined && `Bearer ${token.value}` !== sent;
    if (isNewer) return `Bearer ${token.value}`;
    if (parameters.get("error") === "insufficient_scope" && token !== undefined && this.#isFresh(token)) {
      throw await this.#notAllowed();
    }
    const realm = parameters.get("realm") ?? "";
    this.#service = {
      realm: this.#transport.resolveLocation(realm, answer.url),
      service: parameters.get("service") ?? null,
    };
    this.#tokens.delete(scope);
    return `Bearer ${(await this.#fetchToken(scope, parameters.get("scope") ?? scope, signal)).value}`;
  }

  async #notAllowed(): Promise<DinpError> {
    if ((await this.#settings.credentials()) === null) {
      return refused("The registry does not let everybody do this.", "Give it credentials.");
    }
    return new DinpError("DINP_FORBIDDEN", "The registry's token service does not allow this.", {
      hint: "Have these credentials allowed to do this in the registry.",
    });
  }

  /** Whether a token was given so lately that its end is not why it is refused. */
  #isFresh({ staleAtMs }: Token): boolean {
    return this.#clock.monotonicMs() < staleAtMs;
  }

  async #fetchToken(key: string, scope: string, signal: AbortSignal | undefined): Promise<Token> {
    let fetching = this.#fetching.get(key);
    if (fetching === undefined) {
      fetching = this.#requestToken(scope)
        .then((token) => this.#keep(key, token))
        .finally(() => this.#fetching.delete(key));
      this.#fetching.set(key, fetching);
    }
    return await abortable(fetching, signal);
  }

  #keep(key: string, token: Token): Token {
    this.#tokens.delete(key);
    this.#tokens.set(key, token);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > TOKENS_MAX && oldest !== undefined) this.#tokens.delete(oldest);
    return token;
  }

  async #requestToken(scope: string): Promise<Token> {
    const service = this.#service;
    if (service === null)
      throw unavailable("The registry's token service is not known.", { retryable: true });
    const credentials = await this.#settings.credentials();
    const askedAtMs = this.#clock.monotonicMs();
    const answer = await (credentials !== null && "identityToken" in credentials
      ? this.#postForToken(service, scope, credentials.identityToken)
      : this.#getToken(service, scope, credentials));
    const what = `get a token from ${service.realm.host}`;
    try {
      if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
        throw refused(`The registry's token service ${service.realm.host} refuses the credentials.`);
      }
      if (answer.status !== 200) {
        const retryAfter = parseRetryAfter(answer.header("retry-after"), this.#clock.now());
        throw statusError(what, answer.status, "", retryAfter);
      }
      return this.#readToken(await answer.bytes(TOKEN_ANSWER_BYTES_MAX), askedAtMs, service);
    } finally {
      await answer.discard();
    }
  }

  #readToken(bytes: Uint8Array | null, askedAtMs: number, { realm }: TokenService): Token {
    const json = parseJson(bytes);
    const value = textOf(json?.["token"]) ?? textOf(json?.["access_token"]);
    if (value === null || !/^[\x21-\x7e]+$/.test(value)) {
      throw unavailable(`The registry's token service ${realm.host} answers without a token.`, {
        retryable: true,
      });
    }
    this.#remember(value);
    const said = json?.["expires_in"];
    const seconds = typeof said === "number" && said > 0 ? said : TOKEN_SECONDS;
    // Renewed a little early, so that none ends on its way.
    return { value, staleAtMs: askedAtMs + seconds * 1_000 - Math.min(10_000, seconds * 200) };
  }

  /** distribution's token specification: GET, with Basic authentication when there are credentials. */
  async #getToken(
    { realm, service }: TokenService,
    scope: string,
    credentials: { readonly username: string; readonly password: string } | null,
  ): Promise<Answer> {
    const url = new URL(realm);
    if (service !== null) url.searchParams.set("service", service);
    for (const one of scope.split(" ").filter(Boolean)) url.searchParams.append("scope", one);
    if (credentials !== null) url.searchParams.set("account", credentials.username);
    const authorization = credentials === null ? null : this.#basicField(credentials);
    return await this.#transport.send({ method: "GET", url, authorization });
  }

  /** distribution's OAuth 2 specification: POST with the refresh token. */
  async #postForToken(
    { realm, service }: TokenService,
    scope: string,
    identityToken: string,
  ): Promise<Answer> {
    this.#remember(identityToken);
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: identityToken,
      client_id: "dinp",
      scope,
      ...(service === null ? {} : { service }),
    });
    return await this.#transport.send({
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    });
  }

  #basicField({ username, password }: Exclude<OciCredentials, { identityToken: string }>): string {
    const encoded = Buffer.from(`${username}:${password}`, "utf8").toString("base64");
    if (password !== "") this.#remember(password);
    this.#remember(encoded);
    return `Basic ${encoded}`;
  }

  #remember(secret: string): void {
    this.#secrets.delete(secret);
    this.#secrets.add(secret);
    const [oldest] = this.#secrets;
    if (this.#secrets.size > TOKENS_MAX && oldest !== undefined) this.#secrets.delete(oldest);
  }
}

function refused(message: string, hint = "See whether they are right and still valid."): DinpError {
  return new DinpError("DINP_UNAUTHENTICATED", message, { hint });
}
