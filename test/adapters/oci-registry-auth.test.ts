import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { OciCredentials } from "@dinp/core/oci";
import { createSystemClock } from "@dinp/core/system";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { describeWithServices } from "../support/services.js";
import { clientOf, ownPath, tlsOptions } from "./oci-support/clients.js";
import { errorOf, everythingOf, pieces, putImage, repository } from "./oci-support/images.js";
import { RegistryProcess } from "./oci-support/registry-process.js";
import { TokenServer } from "./oci-support/token-server.js";

const SECRET = "correct-horse-battery";

describeWithServices(["registry", "registry-tls"], "oci registry: who asks, and whom", (places) => {
  const url = places.DINP_TEST_REGISTRY_TLS;
  const right = tlsOptions(places);

  it("says that credentials are wrong or missing, and never shows one", async () => {
    const wrong = { username: "tester", password: SECRET };
    const cases: readonly (OciCredentials | null)[] = [wrong, { identityToken: SECRET }, null];
    for (const credentials of cases) {
      await using registry = disposable(
        clientOf(url, { ...right, credentials: () => Promise.resolve(credentials) }),
      );
      const failures = [
        await errorOf(registry.list(repository)),
        await errorOf(registry.resolve(repository, "live")),
        await errorOf(registry.writeBlob(repository, pieces(Buffer.from("x")))),
      ];
      for (const failure of failures) {
        expect(failure).toMatchObject({ code: "DINP_UNAUTHENTICATED", retryable: false });
        expect(everythingOf(failure)).not.toContain(SECRET);
        expect(everythingOf(failure)).not.toContain(Buffer.from(`tester:${SECRET}`).toString("base64"));
      }
    }
  });

  it("asks for the credentials again when those that it has are refused", async () => {
    let current: OciCredentials = { username: "tester", password: "of yesterday" };
    await using registry = disposable(
      clientOf(`${url}/${ownPath()}`, { ...right, credentials: () => Promise.resolve(current) }),
    );
    expect(await errorOf(registry.list(repository))).toMatchObject({ code: "DINP_UNAUTHENTICATED" });
    current = right.credentials;
    expect(await registry.list(repository)).toEqual([]);
  });

  it("does not speak to a registry whose certificate it does not trust, and does not try again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dinp-ca-"));
    const { ca } = await makeCertificates(folder);
    const other = await readFile(ca, "utf8");
    await rm(folder, { recursive: true });
    const without = { credentials: right.credentials };
    for (const options of [without, { ...without, ca: other }]) {
      await using registry = disposable(clientOf(url, options));
      const failure = await errorOf(registry.list(repository));
      expect(failure).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: false });
      expect(String(failure)).toMatch(/certificate of 127\.0\.0\.1:\d+ is not trusted/);
    }
  });

  it("speaks plain http only when it is asked to", async () => {
    const plain = places.DINP_TEST_REGISTRY;
    const failure = await errorOf(Promise.resolve().then(() => clientOf(plain, { plainHttp: false })));
    expect(failure).toMatchObject({ code: "DINP_INVALID" });
    await using registry = disposable(clientOf(plain.replace("http:", "https:"), {}));
    expect(await errorOf(registry.list(repository))).toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: false,
    });
  });
});

describe("oci registry options", () => {
  it.each([
    "",
    "registry.example",
    "ftp://registry.example",
    `https://user:${SECRET}@registry.example`,
    "https://registry.example/?x=1",
    "https://registry.example/Team",
    "http://registry.example",
  ])("refuses the address %j", async (url) => {
    const failure = await errorOf(Promise.resolve().then(() => clientOf(url, { plainHttp: false })));
    expect(failure).toMatchObject({ code: "DINP_INVALID" });
    expect(everythingOf(failure)).not.toContain(SECRET);
  });

  it("refuses a certificate that is none, and a limit that is none", async () => {
    const url = "https://registry.example";
    for (const options of [{ ca: "x" }, { limits: { attempts: 0 } }, { limits: { idleMs: NaN } }]) {
      const failure = await errorOf(Promise.resolve().then(() => clientOf(url, options)));
      expect(failure).toMatchObject({ code: "DINP_INVALID" });
    }
  });
});

describeWithServices(["registry"], "oci registry with a token service", () => {
  let folder: string;
  let tokens: TokenServer;
  let server: RegistryProcess;
  const credentials = { username: "tester", password: SECRET };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dinp-tokens-"));
    const { ca, certificate, key } = await makeCertificates(folder);
    tokens = await TokenServer.start(certificate, key);
    const { realm, service, issuer } = tokens;
    server = await RegistryProcess.start({ token: { realm, service, issuer, certificates: ca } });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await tokens[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const grantAll = tokensDecision();

  beforeEach(() => {
    tokens.requests.length = 0;
    tokens.decide = grantAll;
  });

  it("asks for what each call needs, with the credentials, once for each scope", async () => {
    await using registry = disposable(clientOf(server.url, { credentials }));
    const into = `scopes/${ownPath()}`;
    const image = await putImage(registry, "live", into);
    expect(await registry.resolve(into, "live")).toBe(image.digest);
    expect(await registry.mountBlob("scopes/other", image.layer.digest, into)).toBe(true);
    await registry.delete(into, image.digest);
    const scopes = tokens.requests
      .map(({ parameters }) => parameters.getAll("scope").join(" "))
      // The registry names the rights that it asks for in any order.
      .map((scope) => scope.replaceAll("push,pull", "pull,push"));
    expect(scopes).toEqual([
      `repository:${into}:pull,push`,
      `repository:${into}:pull`,
      `repository:scopes/other:pull,push repository:${into}:pull`,
      `repository:${into}:delete`,
    ]);
    const basic = `Basic ${Buffer.from(`tester:${SECRET}`).toString("base64")}`;
    expect(new Set(tokens.requests.map(({ authorization }) => authorization))).toEqual(new Set([basic]));
  });

  it("asks without credentials when it has none", async () => {
    await using registry = disposable(clientOf(server.url));
    expect(await registry.list("scopes/empty")).toEqual([]);
    expect(tokens.requests.map(({ authorization }) => authorization)).toEqual([null]);
  });

  it("gives an identity token for a token, by POST", async () => {
    await using registry = disposable(clientOf(server.url, { credentials: { identityToken: SECRET } }));
    expect(await registry.list("scopes/empty")).toEqual([]);
    const [request] = tokens.requests;
    expect(request).toMatchObject({ method: "POST", authorization: null });
    expect(request?.parameters.get("refresh_token")).toBe(SECRET);
  });

  it("shares one token among calls at the same time", async () => {
    await using registry = disposable(clientOf(server.url, { credentials }));
    await registry.list("scopes/empty");
    tokens.requests.length = 0;
    await Promise.all(
      Array.from({ length: 10 }, () => registry.hasBlob("scopes/many", `sha256:${"0".repeat(64)}`)),
    );
    expect(tokens.requests).toHaveLength(1);
  });

  it("takes a new token before the old one ends", async () => {
    const system = createSystemClock();
    let later = 0;
    const clock = { ...system, monotonicMs: () => system.monotonicMs() + later };
    await using registry = disposable(clientOf(server.url, { credentials, clock }));
    await registry.list("scopes/empty");
    await registry.list("scopes/empty");
    expect(tokens.requests).toHaveLength(1);
    later = 295_000;
    await registry.list("scopes/empty");
    expect(tokens.requests).toHaveLength(2);
  });

  it("takes a new token when the registry says that the one it has is expired, also in the middle of a push", async () => {
    const system = createSystemClock();
    let later = 0;
    const clock = { ...system, monotonicMs: () => system.monotonicMs() + later };
    await using registry = disposable(clientOf(server.url, { credentials, clock }));
    let given = 0;
    // Each second token has ended already, whatever it says of itself.
    tokens.decide = (request) => {
      given += 1;
      return { ...grantAll(request), ...(given % 2 === 0 ? { expiresIn: 300, endsIn: -120 } : {}) };
    };
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 16; n += 1) {
        if (n === 8) later += 295_000;
        yield await Promise.resolve(new Uint8Array(64 * 1024).fill(n));
      }
    };
    const into = `expiry/${ownPath()}`;
    const { digest, size } = await registry.writeBlob(into, source());
    expect(size).toBe(1024 * 1024);
    expect(given).toBe(3);
    expect(await registry.hasBlob(into, digest)).toBe(true);
  });

  it("says when the credentials do not suffice, are refused, or the token service fails; and never shows one", async () => {
    const cases = [
      { decide: { scopes: [] }, code: "DINP_FORBIDDEN" },
      { decide: { status: 401 }, code: "DINP_UNAUTHENTICATED" },
      { decide: { status: 503 }, code: "DINP_UNAVAILABLE" },
    ] as const;
    for (const { decide, code } of cases) {
      tokens.decide = () => decide;
      await using registry = disposable(clientOf(server.url, { credentials }));
      const failure = await errorOf(registry.writeBlob("denied/app", pieces(Buffer.from("x"))));
      expect(failure).toMatchObject({ code, retryable: code === "DINP_UNAVAILABLE" });
      expect(everythingOf(failure)).not.toContain(SECRET);
      expect(everythingOf(failure)).not.toContain("eyJ");
    }
    tokens.decide = () => ({ scopes: [] });
    await using anonymous = disposable(clientOf(server.url));
    expect(await errorOf(anonymous.list("denied/app"))).toMatchObject({ code: "DINP_UNAUTHENTICATED" });
  });
});

function tokensDecision(): TokenServer["decide"] {
  return ({ parameters }) => ({ scopes: parameters.getAll("scope").flatMap((scope) => scope.split(" ")) });
}

function disposable<T extends { close: () => Promise<void> }>(registry: T): T & AsyncDisposable {
  return Object.assign(registry, { [Symbol.asyncDispose]: () => registry.close() });
}
