import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBuilder, type Builder, type Registry } from "@dinp/core";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive, packDirectory } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { clientOf, ownPath, tlsOptions } from "../adapters/oci-support/clients.js";
import { RegistryProcess } from "../adapters/oci-support/registry-process.js";
import { describeWithServices } from "../support/services.js";
import {
  eventually,
  freePort,
  runProgram,
  SteadyLoad,
  temporaryFolder,
  TestPlatform,
  type CommandResult,
} from "./harness.js";

interface App {
  readonly release: number;
  readonly digest: string;
}

function builderFor(registry: Registry): Builder {
  const [archive, hasher, clock] = [createTarArchive(), createNodeHasher(), createSystemClock()];
  return createBuilder({ registry, archive, hasher, clock, parseYaml });
}

const HOST = "own.apps.localhost";

describeWithServices(["registry", "registry-tls"], "a platform whose images are in a registry", (places) => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  beforeEach(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
  });

  afterEach(async () => {
    await platform.dispose();
    await folder.remove();
  });

  async function source(answer: string): Promise<string> {
    const dir = join(folder.path, "source");
    await mkdir(dir, { recursive: true });
    const program = `require("node:http").createServer((q, s) => s.end(${JSON.stringify(answer)})).listen(process.env.PORT);\n`;
    await writeFile(join(dir, "server.js"), program);
    return dir;
  }

  async function answers(body: string): Promise<void> {
    await eventually(`the app answers ${body}`, async () => (await platform.get(HOST)).body === body);
  }

  /** A file that only its owner may read. */
  async function privateFile(text: string): Promise<string> {
    const path = join(folder.path, "credentials");
    await rm(path, { force: true });
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  describe.each([
    ["open", places.DINP_TEST_REGISTRY, {}],
    ["with TLS and basic auth", places.DINP_TEST_REGISTRY_TLS, tlsOptions(places)],
  ] as const)("that is %s", (_, url, options) => {
    test(
      "a pushed app runs, also after a restart and from the registry alone",
      { timeout: 480_000 },
      async () => {
        const prefixed = `${url}/${ownPath()}`;
        const login: string[] = [];
        if ("credentials" in options) {
          const { username, password } = options.credentials;
          login.push("--registry-credentials", await privateFile(`${username}:${password}\n`));
          login.push("--registry-ca", places.DINP_TEST_REGISTRY_TLS_CA);
        }
        await platform.start(["--registry", prefixed, ...login]);
        expect(platform.output).toContain(`images  ${prefixed}`);
        await platform.ok("push", await source("one"), "--app", "own", "--instances", "2");
        await answers("one");

        const { digest } = await platform.json<App>("app", "own");
        const registry = clientOf(prefixed, options);
        const { mediaType } = await registry.readManifest("apps/own", digest);
        await registry.close();
        expect(mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
        expect(await readdir(join(folder.path, "data/registry"))).toEqual([]);
        expect(await readdir(join(folder.path, "data/uploads"))).toEqual([]);

        // Unpacked images are gone: what runs again comes from the registry, which the start does not name any more.
        await platform.end("SIGTERM");
        await rm(join(folder.path, "data/node"), { recursive: true });
        await platform.start(login);
        await answers("one");
        expect(await platform.json<App>("app", "own")).toMatchObject({ release: 1, digest });
        if ("credentials" in options) expect(platform.output).not.toContain(options.credentials.password);
      },
    );
  });

  test(
    "an image of a private registry runs, pinned to its digest; the password is nowhere to be seen",
    { timeout: 480_000 },
    async () => {
      const url = places.DINP_TEST_REGISTRY_TLS;
      const { username, password } = tlsOptions(places).credentials;
      const prefix = ownPath();
      const elsewhere = clientOf(`${url}/${prefix}`, tlsOptions(places));
      const put = async (answer: string): Promise<string> => {
        const { bytes } = await packDirectory(await source(answer));
        const request = { repository: "shop/web", bytes, format: "tar.gz", tag: "live" } as const;
        return (await builderFor(elsewhere).build(request)).image.digest;
      };
      const first = await put("one");
      const reference = `${new URL(url).host}/${prefix}/shop/web:live`;
      const said: string[] = [];
      const say = (result: CommandResult): CommandResult => {
        said.push(result.stdout, result.stderr);
        return result;
      };

      await platform.start(["--log-level", "debug"]);
      const unknown = say(await platform.dinp("push", "--image", reference, "--app", "own"));
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toMatch(/takes no images from .* so far\.\nhint: .*dinp registries add/);
      const add = ["registries", "add", new URL(url).host, "--username", username];
      const ca = ["--ca", places.DINP_TEST_REGISTRY_TLS_CA];
      say(await platform.dinpWith("wrong-horse", ...add, ...ca));
      const refused = say(await platform.dinp("push", "--image", reference, "--app", "own"));
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/refuses the user or the password.*\nhint: .*--username USER/);
      expect(say(await platform.dinpWith(password, ...add, ...ca, "--json")).code).toBe(0);
      say(await platform.ok("registries"));
      say(await platform.ok("registries", "--json"));
      say(await platform.ok("push", "--image", reference, "--app", "own", "--command", "node server.js"));
      await answers("one");
      expect(await platform.json<App>("app", "own")).toMatchObject({ release: 1, digest: first });

      expect(await put("two")).not.toBe(first);
      await platform.end("SIGKILL");
      said.push(platform.output);
      await platform.start(["--log-level", "debug"]);
      await answers("one");
      expect(await platform.json<App>("app", "own")).toMatchObject({ release: 1, digest: first });
      // What was sealed before is opened again.
      say(await platform.ok("push", "--image", reference, "--app", "own", "--command", "node server.js"));
      await answers("two");
      say(await platform.ok("events", "own", "--json"));
      say(await platform.ok("registries", "remove", new URL(url).host));
      await elsewhere.close();
      await platform.end("SIGTERM");
      said.push(platform.output);

      const secrets = [password, "wrong-horse"];
      const forms = secrets.flatMap((secret) => [
        secret,
        Buffer.from(secret).toString("base64"),
        Buffer.from(`${username}:${secret}`).toString("base64"),
      ]);
      for (const form of forms) {
        expect(said.join("\n")).not.toContain(form);
        const found = await runProgram("grep", ["-rlaF", "-e", form, join(folder.path, "data")]);
        expect([found.code, found.stdout]).toEqual([1, ""]);
      }
    },
  );

  describe("that goes away", () => {
    let server: RegistryProcess;

    beforeAll(async () => {
      server = await RegistryProcess.start();
    });

    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    test(
      "running apps are untouched, a push fails for now, a restart needs it not; when it is back a push succeeds",
      { timeout: 480_000 },
      async () => {
        await platform.start(["--registry", server.url]);
        await platform.ok("push", await source("one"), "--app", "own");
        await answers("one");
        const load = new SteadyLoad(20, () => platform.get(HOST));
        await server.kill();

        const refused = await platform.dinp("push", await source("two"), "--app", "own");
        expect(refused.code).toBe(1);
        expect(refused.stderr).toMatch(/error: The registry 127\.0\.0\.1:\d+ refuses connections/);
        expect(refused.stderr).toMatch(/hint: .*again/i);
        await load.stop();
        expect(load.failures).toEqual([]);
        expect(await platform.json<App>("app", "own")).toMatchObject({ release: 1 });

        expect(await platform.end("SIGKILL")).toBeNull();
        await platform.start();
        await answers("one");
        await eventually("the log says that it is away", () =>
          platform.output.includes("what runs goes on running"),
        );
        expect(await platform.end("SIGTERM")).toBe(0);
        await platform.start();
        await answers("one");

        await server.restart();
        await platform.ok("push", await source("two"), "--app", "own");
        await answers("two");

        await platform.end("SIGTERM");
        const moved = server.url.replace("127.0.0.1", "localhost");
        await platform.start(["--registry", moved, "--registry-moved"]);
        await platform.ok("push", await source("three"), "--app", "own");
        await answers("three");
      },
    );
  });

  describe("and cannot be used at the first start", () => {
    const tls = places.DINP_TEST_REGISTRY_TLS;
    const ca = ["--registry-ca", places.DINP_TEST_REGISTRY_TLS_CA];

    async function refusal(...args: string[]): Promise<string> {
      const result = await platform.up(args);
      expect(result.code).toBeGreaterThan(0);
      expect(result.stderr).not.toMatch(/\n\s+at /);
      return result.stderr;
    }

    test("says why, and chooses nothing", { timeout: 480_000 }, async () => {
      const nobody = `http://127.0.0.1:${String(await freePort())}`;
      expect(await refusal("--registry", nobody)).toMatch(
        /error: The registry http:\S+ cannot be used: .*refuses connections.*\nhint: See whether it runs/,
      );
      expect(await refusal("--registry", tls)).toMatch(
        /certificate of .* is not trusted.*\nhint: .*--registry-ca/,
      );
      expect(await refusal("--registry", tls, ...ca)).toMatch(
        /wants a user and a password.*\nhint: .*--registry-credentials FILE/,
      );
      const wrong = ["--registry-credentials", await privateFile("tester:wrong-horse\n")];
      const refused = await refusal("--registry", tls, ...ca, ...wrong);
      expect(refused).toMatch(/refuses the user or the password.*\nhint: .*--registry-credentials FILE/);
      expect(refused).not.toContain("wrong-horse");
      const noCa = ["--registry-ca", await privateFile("no certificate")];
      expect(await refusal("--registry", tls, ...noCa)).toMatch(
        /certificate .* cannot be read.*\nhint: .*PEM/,
      );
      const elsewhere = ["--registry", `${platform.apiUrl}/v2`];
      expect(await refusal(...elsewhere)).toMatch(/refuses connections/);

      await platform.start(["--registry", places.DINP_TEST_REGISTRY]);
      await platform.end("SIGTERM");
      expect(await refusal("--registry", tls)).toMatch(
        /keeps its images in the registry http:.*, not in https:.*\nhint: .*--registry-moved/,
      );
    });

    test(
      "says what is wrong with a file of credentials, without what is in it",
      { timeout: 480_000 },
      async () => {
        const cases = [
          ["horse-without-user", /is not one line of USER:PASSWORD/],
          ["user:horse\nand more\n", /is not one line of USER:PASSWORD/],
        ] as const;
        for (const [text, expected] of cases) {
          const said = await refusal(
            "--registry",
            tls,
            ...ca,
            "--registry-credentials",
            await privateFile(text),
          );
          expect(said).toMatch(expected);
          expect(said).not.toContain("horse");
        }
        const open = join(folder.path, "open");
        await writeFile(open, "user:horse\n", { mode: 0o644 });
        expect(await refusal("--registry", tls, ...ca, "--registry-credentials", open)).toMatch(
          /Every user of this machine may use the credentials.*\nhint: Run: chmod 600/,
        );
      },
    );

    test("a platform with images in its folder stays there", { timeout: 480_000 }, async () => {
      await platform.start();
      await platform.end("SIGTERM");
      expect(await refusal("--registry", places.DINP_TEST_REGISTRY)).toMatch(
        /keeps its images in the data folder, not in http:/,
      );
      expect(await refusal(...ca)).toMatch(/--registry-ca is given, but images are kept in the data folder/);
      await platform.start();
    });
  });
});
