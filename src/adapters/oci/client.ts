import type { DinpError } from "@dinp/core";
import { Authenticator } from "./authenticator.js";
import { statusError, unavailable } from "./errors.js";
import type { OciSettings } from "./options.js";
import { isStream } from "./exchange.js";
import { parseRetryAfter, retrying } from "./retry.js";
import { isObject, parseJson } from "./json.js";
import type { Answer } from "./answer.js";
import { Transport, type Outgoing } from "./transport.js";

const ERROR_BYTES_MAX = 64 * 1024;
const SAID_LENGTH_MAX = 300;
/** One for what the registry asks for, and one for a token that has ended unnoticed. */
const RENEWALS_MAX = 2;

/** A request to the registry, in the words of distribution-spec 1.1. */
export interface RegistryRequest extends Omit<Outgoing, "url" | "authorization"> {
  /** Below `/v2/`, or a place that the registry named. */
  readonly target: string | URL;
  /** In the words of a token service: `repository:apps/hello:pull`; several with a space between. */
  readonly scope: string;
}

/** Speaks to one registry: authenticated, retried, its answers told apart from those of something else. */
export class RegistryClient {
  readonly settings: OciSettings;
  readonly transport: Transport;
  readonly #authenticator: Authenticator;
  readonly #background = new Set<Promise<void>>();

  constructor(settings: OciSettings) {
    this.settings = settings;
    this.transport = new Transport(settings);
    this.#authenticator = new Authenticator(settings, this.transport);
  }

  /** Makes a request until it is answered, and gives what `use` makes of the answer; transient failures of `use` count. */
  async call<T>(request: RegistryRequest, use: (answer: Answer) => Promise<T>): Promise<T> {
    return await retrying(this.settings, request.signal, () => this.once(request, use));
  }

  /** {@link RegistryClient.call} without a second attempt. */
  async once<T>(request: RegistryRequest, use: (answer: Answer) => Promise<T>): Promise<T> {
    const answer = await this.open(request);
    try {
      return await use(answer);
    } finally {
      await answer.discard();
    }
  }

  /** The answer to one request, authenticated; it is the caller's to read or to discard. */
  async open(request: RegistryRequest): Promise<Answer> {
    const { target, scope, ...rest } = request;
    const url = typeof target === "string" ? new URL(`/v2/${target}`, this.settings.origin) : target;
    const isOwn = url.origin === this.settings.origin;
    let authorization = isOwn ? await this.#authenticator.authorization(scope, rest.signal) : null;
    for (let renewals = 0; ; renewals += 1) {
      const answer = await this.transport.send({ ...rest, url, authorization });
      if (answer.status !== 401 || answer.url.origin !== this.settings.origin) return answer;
      await answer.discard();
      // Says why it is refused as well: wrong credentials, or a right that they lack.
      authorization = await this.#authenticator.renew(answer, scope, authorization, rest.signal);
      if (renewals === RENEWALS_MAX) throw statusError("let this client in", 401, "", null);
      if (isStream(rest.body)) {
        throw unavailable("The registry wants other credentials in the middle of an upload.", {
          retryable: true,
        });
      }
    }
  }

  /** The error for an answer that the caller has no meaning for; reads its body. */
  async failure(answer: Answer, what: string): Promise<DinpError> {
    const bytes = await answer.bytes(ERROR_BYTES_MAX).catch(() => null);
    const retryAfterMs = parseRetryAfter(answer.header("retry-after"), this.settings.clock.now());
    return statusError(what, answer.status, this.#said(bytes), retryAfterMs);
  }

  /**
   * Returns when the status 404 of this answer is the registry's word that something is not there. `DINP_UNAVAILABLE`
   * (retryable) when it may be another's, such as a proxy's whose registry is down.
   */
  async assertNotThere(answer: Answer, signal: AbortSignal | undefined): Promise<void> {
    if (answer.header("docker-distribution-api-version") !== null) return;
    if (errorsOf(await answer.bytes(ERROR_BYTES_MAX)).length > 0) return;
    const url = new URL("/v2/", this.settings.origin);
    const ping = await this.transport.send({ method: "GET", url, signal });
    await ping.discard();
    if (ping.status === 200 || ping.status === 401) return;
    throw unavailable(
      `${this.settings.origin} answers ${String(answer.status)}, but is no registry now (${String(ping.status)} to /v2/).`,
      { retryable: true, hint: "See whether the registry behind this address runs." },
    );
  }

  /** Runs a short task that nobody waits for but {@link RegistryClient.close}. */
  later(task: () => Promise<void>): void {
    const running = task()
      .catch(() => undefined)
      .finally(() => this.#background.delete(running));
    this.#background.add(running);
  }

  /** Ends every call with `DINP_CLOSED`, after the tasks in the background. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#background);
    this.transport.close();
  }

  #said(bytes: Uint8Array | null): string {
    const parts = errorsOf(bytes).map(({ code, message }) => (message === "" ? code : `${code}: ${message}`));
    // Control characters could write on the reader's terminal.
    const text = parts.join("; ").replace(/[\p{Cc}\p{Cf}]/gu, " ");
    return this.#authenticator.redact(text).slice(0, SAID_LENGTH_MAX);
  }
}

/** distribution-spec 1.1, "Error codes". */
function errorsOf(bytes: Uint8Array | null): readonly { readonly code: string; readonly message: string }[] {
  const errors = parseJson(bytes)?.["errors"];
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: unknown) => {
    if (!isObject(error) || typeof error["code"] !== "string") return [];
    const { code, message } = error;
    return [{ code, message: typeof message === "string" ? message : "" }];
  });
}
