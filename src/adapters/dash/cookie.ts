/** The cookie that holds a session's id (RFC 6265, and its successor for `SameSite` and `__Host-`). */
export class SessionCookie {
  readonly #name: string;
  readonly #attributes: string;

  /** Over TLS its name keeps other hosts of the same domain from setting it. */
  constructor({ isTls }: { readonly isTls: boolean }) {
    this.#name = isTls ? "__Host-dinp-session" : "dinp-session";
    this.#attributes = `Path=/; HttpOnly; SameSite=Strict${isTls ? "; Secure" : ""}`;
  }

  /** The id in a field `Cookie`; null when there is none, or more than one, of which another site may have set one. */
  read(field: string | undefined): string | null {
    const ids = (field ?? "")
      .split(";")
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(`${this.#name}=`))
      .map((pair) => pair.slice(this.#name.length + 1));
    const [id] = ids;
    return ids.length === 1 && id !== undefined && /^[A-Za-z0-9_-]{43}$/.test(id) ? id : null;
  }

  /** The field `Set-Cookie` that has the browser keep an id until the session ends. */
  set(id: string, maxAgeMs: number): string {
    return `${this.#name}=${id}; ${this.#attributes}; Max-Age=${String(Math.floor(maxAgeMs / 1_000))}`;
  }

  clear(): string {
    return `${this.#name}=; ${this.#attributes}; Max-Age=0`;
  }
}
