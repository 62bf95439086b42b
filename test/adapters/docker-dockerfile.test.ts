import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createBuilder,
  readImage,
  type BaseSource,
  type BuildResult,
  type DinpErrorCode,
  type ImageRef,
  type Registry,
} from "@dinp/core";
import {
  createDockerImageWorkshop,
  loadImages,
  type DockerImageWorkshop,
  type DockerWorkshopLimits,
} from "@dinp/core/docker";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeTarGz, stream, type TestEntry } from "../build/support.js";
import { describeWithServices } from "../support/services.js";
import { EngineClient } from "./docker-support/engine-client.js";
import { putLayers } from "./docker-support/images.js";
import { linuxLayer } from "./docker-support/linux-layer.js";
import { until } from "./support/until.js";

interface Options {
  readonly limits?: Partial<DockerWorkshopLimits>;
  readonly files?: readonly TestEntry[];
  readonly log?: string[];
  readonly signal?: AbortSignal;
  readonly workshop?: DockerImageWorkshop;
  readonly gzip?: boolean;
}

/** What a build said, and the text of files of the image that it made. */
interface Made extends BuildResult {
  readonly log: readonly string[];
  readonly fileOf: (path: string) => Promise<string | null>;
  /** `UID:GID MODE` of a path in the image. */
  readonly config: Readonly<Record<string, unknown>>;
}

describeWithServices(
  ["docker"],
  "apps' own Dockerfiles on a Docker engine",
  ({ DINP_TEST_DOCKER_SOCKET: socket }) => {
    const client = new EngineClient(socket);
    const clusters: string[] = [];
    let folder: string;
    let registry: Registry;
    let linux: ImageRef;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "dinp-dockerfile-"));
      registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
      linux = await putLayers(registry, "bases/linux", [await linuxLayer()], {
        WorkingDir: "/",
        Env: ["PATH=/bin"],
        Labels: { base: "yes" },
      });
    }, 300_000);
    afterAll(async () => {
      for (const id of clusters) await client.removeCluster(`${id}-images`);
      await rm(folder, { recursive: true, force: true });
    });

    function newWorkshop(limits: Partial<DockerWorkshopLimits> = {}, id?: string): DockerImageWorkshop {
      const clusterId = id ?? newCluster();
      return createDockerImageWorkshop({
        engine: { socketPath: socket },
        clusterId,
        images: loadImages(registry),
        archive: createTarArchive(),
        limits,
      });
    }

    function newCluster(): string {
      const id = `test-${randomBytes(4).toString("hex")}`;
      clusters.push(id);
      return id;
    }

    /** What is left of a cluster's on the engine; images that were brought for builds stay until the end. */
    async function leftOf(clusterId: string): Promise<readonly string[]> {
      const containers = await client.containers(`io.dinp.cluster=${clusterId}-images`);
      const images = (await client.ask("GET", "/images/json?all=true")) as readonly {
        readonly Id: string;
        readonly RepoTags: string[] | null;
        readonly Labels: Record<string, string> | null;
      }[];
      const own = images.filter(
        ({ RepoTags, Labels }) =>
          RepoTags?.some((tag) => tag.startsWith(`dinp-${clusterId}-images/`)) === true ||
          Labels?.["io.dinp.cluster"] === `${clusterId}-images`,
      );
      return [
        ...containers.map(({ Id }) => Id),
        ...own.map(({ Id, RepoTags }) => `${Id} ${String(RepoTags)}`),
      ];
    }

    async function build(dockerfile: string, options: Options = {}): Promise<Made> {
      const { files = [], log = [], signal, limits, gzip } = options;
      const cluster = newCluster();
      const workshop = options.workshop ?? newWorkshop(limits, cluster);
      const bases: BaseSource = {
        find: (name) => Promise.resolve(name === "linux" ? linux : null),
        names: () => Promise.resolve(["linux"]),
      };
      const builder = createBuilder({
        ...{ bases, registry, archive: createTarArchive(), hasher: createNodeHasher(), parseYaml, workshop },
        clock: createSystemClock(),
        ...(gzip === true ? { compressor: createGzipCompressor() } : {}),
      });
      const bytes = stream(await makeTarGz([{ name: "Dockerfile", content: dockerfile }, ...files]));
      try {
        const result = await builder.build({
          ...{ repository: "apps/made", bytes, template: "dockerfile" },
          log: (line) => log.push(line),
          ...(signal === undefined ? {} : { signal }),
        });
        return { ...result, log, ...(await lookInto(result.image)) };
      } finally {
        if (options.workshop === undefined) {
          await workshop.close();
          expect(await leftOf(cluster)).toEqual([]);
        }
      }
    }

    async function lookInto(image: ImageRef): Promise<Pick<Made, "fileOf" | "config">> {
      const { layers, config } = await readImage(registry, image);
      const chunks: Uint8Array[] = [];
      for await (const chunk of registry.readBlob(image.repository, config.digest)) chunks.push(chunk);
      const json = JSON.parse(Buffer.concat(chunks).toString()) as { config: Record<string, unknown> };
      const fileOf = async (path: string): Promise<string | null> => {
        for (const { digest, mediaType } of [...layers].reverse()) {
          const format = mediaType.endsWith("gzip") ? "tar.gz" : "tar";
          const bounds = { format, maxBytes: 1e9, maxEntries: 1e5 } as const;
          for await (const entry of createTarArchive().read(
            registry.readBlob(image.repository, digest),
            bounds,
          )) {
            if (entry.path.replace(/^\.?\//, "") !== path || entry.type !== "file") continue;
            const pieces: Uint8Array[] = [];
            for await (const piece of entry.content) pieces.push(piece);
            return Buffer.concat(pieces).toString();
          }
        }
        return null;
      };
      return { fileOf, config: json.config };
    }

    it("takes the steps one by one, and the image is what they made", async () => {
      const made = await build(
        `# a comment
ARG BASE=linux
FROM \${BASE}
ARG WHAT="some thing"
ENV GREETING="hello $WHAT" EMPTY=
LABEL by='$me' "two words"=x
WORKDIR /app
COPY --chown=web:other --chmod=640 src/ lib/
COPY server.sh *.txt ./
RUN echo "$GREETING" > made.txt && \\
    # between
    pwd >> made.txt

RUN ["/bin/sh", "-c", "stat -c '%u:%g %a' lib/a lib/deep/b server.sh >> made.txt; id -u >> made.txt"]
USER web
RUN id -u > /tmp/me; echo to the log; echo and this >&2
EXPOSE 8080 53/udp
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["/bin/sh", "server.sh"]
CMD ["one", "two words"]
`,
        {
          files: [
            { name: "src/a", content: "A" },
            { name: "src/deep/b", content: "B" },
            { name: "server.sh", content: "echo served", mode: 0o755 },
            { name: "one.txt", content: "1" },
            { name: "other.md", content: "no" },
          ],
        },
      );
      expect(await made.fileOf("app/made.txt")).toBe(
        "hello some thing\n/app\n1000:2000 640\n1000:2000 640\n0:0 755\n0\n",
      );
      expect(await made.fileOf("tmp/me")).toBe("1000\n");
      expect([await made.fileOf("app/one.txt"), await made.fileOf("app/other.md")]).toEqual(["1", null]);
      expect(made).toMatchObject({
        template: "dockerfile",
        command: ["/bin/sh", "server.sh", "one", "two words"],
        requires: [],
        manifest: null,
        base: { name: "linux", digest: linux.digest },
        files: 6,
      });
      expect(made.config).toMatchObject({
        User: "web",
        WorkingDir: "/app",
        Env: ["PATH=/bin", "GREETING=hello some thing", "EMPTY="],
        Entrypoint: ["/bin/sh", "server.sh"],
        Cmd: ["one", "two words"],
        ExposedPorts: { "8080/tcp": {}, "53/udp": {} },
        Labels: { base: "yes", by: "$me", "two words": "x", "io.dinp.template": "dockerfile" },
      });
      expect(made.log.filter((line) => line.startsWith("step "))).toHaveLength(15);
      expect(made.log).toEqual(
        expect.arrayContaining([
          "step 1/15: FROM ${BASE}",
          "step 6/15: COPY --chown=web:other --chmod=640 src/ lib/",
          "to the log",
          "and this",
          expect.stringMatching(/^HEALTHCHECK: it is not used/),
        ]),
      );
    }, 300_000);

    it("copies between stages, honours .dockerignore, and goes on from an earlier stage and from nothing", async () => {
      const made = await build(
        `FROM linux AS build
COPY . /src
RUN mkdir -p /out/deep && cat /src/keep.md > /out/deep/kept && ln /out/deep/kept /out/hard && ln -s deep/kept /out/soft && ls /src /src/node_modules; touch /out/empty
FROM build AS again
RUN echo more >> /out/empty
FROM scratch
COPY --from=again /out /result/
COPY --from=0 /out/soft /one
COPY --from=linux /bin/busybox /bin/sh
COPY link /linked
CMD ["/bin/sh"]
`,
        {
          gzip: true,
          files: [
            { name: ".dockerignore", content: "# no\nnode_modules\n*.md\n!keep.md\n**/secret*\n" },
            { name: "keep.md", content: "kept" },
            { name: "gone.md", content: "gone" },
            { name: "deep/secret.txt", content: "secret" },
            { name: "link", type: "symlink", linkname: "keep.md" },
            { name: "node_modules/x", content: "x" },
          ],
        },
      );
      expect(await made.fileOf("result/deep/kept")).toBe("kept");
      expect(await made.fileOf("result/empty")).toBe("more\n");
      expect(await made.fileOf("one")).toBe("kept");
      expect(await made.fileOf("linked")).toBe("kept");
      expect(made).toMatchObject({ base: null, command: ["/bin/sh"] });
      const listed = made.log.slice(made.log.findIndex((line) => line === "/src:"));
      expect(listed).toEqual(expect.arrayContaining(["keep.md"]));
      expect(made.log.join("\n")).not.toMatch(/gone\.md|secret/);
      expect(made.log.join("\n")).toMatch(/node_modules: No such file/);
    }, 300_000);

    it("keeps what variables, arguments and labels hold as data", async () => {
      const made = await build(`FROM linux
ARG EVIL="$(touch /tmp/evil) ; touch /tmp/evil"
ENV A="$EVIL" B='$A "x" \\n' C=a\\ b D=\${NONE:-"x y"}
LABEL l="\\$(id) '\\"" io.dinp.template=other
USER 1000
WORKDIR /tmp/$B
RUN printf '%s|' "$A" "$B" "$C" "$D" "$EVIL" > /tmp/said; ls /tmp
RUN ["/bin/echo", "$(touch /tmp/evil)", "\\n;"]
CMD echo $A
`);
      expect(await made.fileOf("tmp/said")).toBe(
        '$(touch /tmp/evil) ; touch /tmp/evil|$A "x" \\n|a b|x y|$(touch /tmp/evil) ; touch /tmp/evil|',
      );
      expect(made.log).toContain("$(touch /tmp/evil) ");
      expect(made.log).not.toContain("evil");
      expect(made.config).toMatchObject({ Labels: { l: "$(id) '\"", "io.dinp.template": "dockerfile" } });
      expect(made.command).toEqual(["/bin/sh", "-c", "echo $A"]);
    }, 300_000);

    it("lets programs reach no network, device, mount, engine or other right", async () => {
      const made = await build(`FROM linux
RUN cat /proc/self/status | tr '\\t' ' ' > /status; for one in /sys/class/net/*; do echo "net \${one##*/}" >> /status; done
RUN wget -T 2 http://169.254.169.254/ -O /reached 2>&1 || true
RUN mount -t tmpfs x /tmp 2>&1 || true; mknod /dev/x b 7 0 2>&1 || true; unshare -m true 2>&1 || true
RUN ls /var/run/docker.sock /run/docker.sock 2>&1 || true; echo 1 2>&1 > /proc/sys/kernel/panic || true
CMD ["x"]
`);
      const status = (await made.fileOf("status")) ?? "";
      expect(status).toMatch(/^CapEff: 00000000000000db$/m);
      expect(status).toMatch(/^CapBnd: 00000000000000db$/m);
      expect(status).toMatch(/^NoNewPrivs: 1$/m);
      expect(status.match(/^net .*$/gm)).toEqual(["net lo"]);
      expect([null, ""]).toContain(await made.fileOf("reached"));
      const log = made.log.join("\n");
      expect(log).toMatch(/mount: .*(denied|not permitted)/);
      expect(log).toMatch(/mknod: .*not permitted/);
      expect(log).toMatch(/unshare: .*not permitted/);
      expect(log).toMatch(/docker\.sock: No such file/);
    }, 300_000);

    it.each([
      ["# syntax=evil/frontend:1\nFROM linux", 1, "# syntax", /program from elsewhere/],
      ["FROM --platform=linux/arm64 linux", 1, "FROM", /--platform is not allowed/],
      ["FROM --platform linux", 1, "FROM", /--platform is not allowed/],
      ["FROM -x linux", 1, "FROM", /not IMAGE/],
      ["FROM $NONE", 1, "FROM", /stands for nothing/],
      ["FROM other", 1, "FROM", /no base image "other"/],
      ["FROM 127.0.0.1:1/x:y", 1, "FROM", /not a name of a base image/],
      ["FROM linux\n\nRUN --mount=type=bind,source=/,target=/x ls", 3, "RUN", /--mount is not allowed/],
      ["FROM linux\nRUN --network=host ls", 2, "RUN", /--network is not allowed/],
      ["FROM linux\nRUN --security=insecure ls", 2, "RUN", /--security is not allowed/],
      ["FROM linux\nRUN --device=/dev/sda ls", 2, "RUN", /--device is not allowed/],
      ["FROM linux\nRUN <<EOF\nls\nEOF", 2, "RUN", /here-documents/],
      ["FROM linux\nONBUILD RUN ls", 2, "ONBUILD", /not kept/],
      ["FROM linux\nFLY away", 2, "FLY", /no instruction/],
      ["FROM linux\nADD https://example.com/x /x", 2, "ADD", /nothing is fetched/],
      ["FROM linux\nADD git@example.com:x.git /x", 2, "ADD", /nothing is fetched/],
      ["FROM linux\nADD a.tar.gz /x", 2, "ADD", /not unpacked/],
      ["FROM linux\nCOPY ../../etc/shadow /x", 2, "COPY", /leads out of the upload/],
      ["FROM linux\nCOPY a/../../x /x", 2, "COPY", /leads out of the upload/],
      ["FROM linux\nCOPY /etc/shadow /x", 2, "COPY", /has no "\/etc\/shadow"/],
      ["FROM linux\nCOPY --from=3 /x /x", 2, "COPY", /no earlier stage 3/],
      ["FROM linux\nCOPY --from=other:1 /x /x", 2, "COPY", /other/],
      ["FROM linux\nCOPY --chown=nobody Dockerfile /x", 2, "COPY", /do not have "nobody"/],
      ["FROM linux\nCOPY --chmod=u+s Dockerfile /x", 2, "COPY", /is no mode/],
      ["FROM linux\nCOPY --link Dockerfile /x", 2, "COPY", /--link is not allowed/],
      ["FROM linux\nCOPY Dockerfile Dockerfile /x", 2, "COPY", /End|several sources/],
      ["FROM linux\nCOPY Dockerfile /bin/sh/", 2, "COPY", /is a file/],
      ["FROM linux\nENV A-B=1", 2, "ENV", /is no name/],
      ["FROM linux\nENV A", 2, "ENV", /has no value/],
      ['FROM linux\nENV A="x', 2, "ENV", /is missing/],
      ["FROM linux\nENV A=${B/x/y}", 2, "ENV", /not known/],
      ["FROM linux\nUSER a b", 2, "USER", /is no user/],
      ["FROM linux\nUSER nobody\nRUN ls", 3, "RUN", /no user nobody/],
      ['FROM linux\nRUN ["/bin/none"]', 2, "RUN", /no program \/bin\/none/],
      ["FROM linux\nRUN exit 3", 2, "RUN", /ended with code 3/],
      ["FROM scratch\nRUN ls", 2, "RUN", /no program \/bin\/sh/],
      ["FROM linux\nWORKDIR /bin/sh", 2, "WORKDIR", /is a file/],
      ["ENV A=1\nFROM linux", 1, "ENV", /before the first FROM/],
    ])(
      "refuses %j at line %i",
      async (dockerfile, line, instruction, message) => {
        await expect(build(dockerfile)).rejects.toMatchObject({
          code: "DINP_INVALID",
          message: expect.stringMatching(message),
          hint: expect.stringMatching(/./),
          details: { field: "Dockerfile", line, instruction },
        });
      },
      60_000,
    );

    it.each([
      [
        "forks without end",
        "RUN (while true; do sleep 1000 & done) 2>/dev/null & exec sleep 1000",
        { timeMs: 8_000 },
        "DINP_TIMEOUT",
        /longer than 8 s/,
      ],
      [
        "forks until it fails",
        "RUN f() { f | f & }; while true; do f; done",
        { pidsMax: 30 },
        "DINP_INVALID",
        /ended with code/,
      ],
      ["hangs", "RUN sleep 1000", { timeMs: 5_000 }, "DINP_TIMEOUT", /longer than 5 s/],
      [
        "hears no signal",
        "RUN trap '' TERM INT HUP; while true; do sleep 1; done",
        { timeMs: 5_000 },
        "DINP_TIMEOUT",
        /longer than 5 s/,
      ],
      [
        "fills the disk with one file",
        "RUN dd if=/dev/zero of=/x bs=1M; sleep 1",
        { diskMb: 50 },
        "DINP_TOO_LARGE",
        /more disk than the 50 MiB/,
      ],
      [
        "fills the disk with many",
        "RUN i=0; while true; do dd if=/dev/zero of=/$i bs=1M count=4; i=$((i + 1)); done 2>/dev/null",
        { diskMb: 50 },
        "DINP_TOO_LARGE",
        /more disk than the 50 MiB/,
      ],
      [
        "fills the disk step by step",
        `RUN dd if=/dev/zero of=/x bs=1M count=30\nRUN dd if=/dev/zero of=/x bs=1M count=30`,
        { diskMb: 50 },
        "DINP_TOO_LARGE",
        /more disk than the 20 MiB/,
      ],
      [
        "fills the disk with copies",
        "COPY big /1\nCOPY big /2\nCOPY big /3",
        { diskMb: 5 },
        "DINP_TOO_LARGE",
        /more disk than the 5 MiB/,
      ],
      [
        "makes empty files without end",
        "RUN i=0; while true; do : > /tmp/$i; i=$((i + 1)); done",
        { filesMax: 500 },
        "DINP_TOO_LARGE",
        /more than 500 files/,
      ],
      [
        "eats memory",
        "RUN dd if=/dev/zero of=/dev/null bs=900M",
        { memoryMb: 64 },
        "DINP_TOO_LARGE",
        /more than 64 MiB of memory/,
      ],
      [
        "writes a log of gigabytes",
        "RUN yes 0123456789012345678901234567890123456789",
        { logBytesMax: 1_000_000 },
        "DINP_TOO_LARGE",
        /a log of more than 1000000 bytes/,
      ],
      [
        "writes a line without an end",
        "RUN cat /dev/zero | tr '\\0' x",
        { logBytesMax: 5_000_000 },
        "DINP_TOO_LARGE",
        /wrote a log/,
      ],
    ] satisfies readonly (readonly [string, string, Partial<DockerWorkshopLimits>, DinpErrorCode, RegExp])[])(
      "ends one that %s, with a reason, a bounded log and nothing left",
      async (_what, steps, limits, code, message) => {
        const log: string[] = [];
        const files = [{ name: "big", content: randomBytes(2_000_000) }];
        await expect(build(`FROM linux\n${steps}\nCMD x`, { limits, log, files })).rejects.toMatchObject({
          code,
          message: expect.stringMatching(message),
        });
        expect(log.join("\n").length).toBeLessThan(1_500_000);
      },
      60_000,
    );

    it("ends with its signal and with the workshop, amid a step", async () => {
      const cluster = newCluster();
      const workshop = newWorkshop({}, cluster);
      const hangs = (signal?: AbortSignal): Promise<Made> => {
        const log: string[] = [];
        const building = build("FROM linux\nRUN touch /x\nRUN sleep 1000", {
          ...{ workshop, log },
          ...(signal === undefined ? {} : { signal }),
        });
        building.catch(() => undefined);
        return building;
      };
      const running = async (): Promise<boolean> =>
        (await client.containers(`io.dinp.cluster=${cluster}-images`)).some(
          ({ State }) => State === "running",
        );
      const stop = new AbortController();
      const aborted = hangs(stop.signal);
      await until(running, "the step");
      stop.abort();
      await expect(aborted).rejects.toMatchObject({ code: "DINP_ABORTED" });
      expect(await client.containers(`io.dinp.cluster=${cluster}-images`)).toEqual([]);
      const closed = hangs();
      await until(running, "the step");
      await workshop.close();
      await expect(closed).rejects.toMatchObject({ code: "DINP_CLOSED" });
      expect(await leftOf(cluster)).toEqual([]);
    }, 300_000);

    it("removes what a killed platform left", async () => {
      const cluster = newCluster();
      const module = (name: string): string =>
        JSON.stringify(new URL(`../../dist/adapters/${name}/index.js`, import.meta.url).href);
      const program = `
import { createDockerImageWorkshop, loadImages } from ${module("docker")};
import { createOciLayoutRegistry } from ${module("oci-layout")};
import { createTarArchive } from ${module("tar")};
const registry = createOciLayoutRegistry({ dir: ${JSON.stringify(join(folder, "registry"))} });
const workshop = createDockerImageWorkshop({ engine: { socketPath: ${JSON.stringify(socket)} }, clusterId: ${JSON.stringify(cluster)}, images: loadImages(registry), archive: createTarArchive() });
await workshop.during(async (place) => {
  const tree = await place.start(${JSON.stringify({ repository: linux.repository, digest: linux.digest })});
  const all = { env: { PATH: "/bin" }, user: "", workingDir: "/" };
  await tree.run({ ...all, command: ["/bin/touch", "/x"] });
  await tree.run({ ...all, command: ["/bin/sleep", "1000"] });
}, { log() {} });
`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
      try {
        await until(
          async () =>
            (await client.containers(`io.dinp.cluster=${cluster}-images`)).some(
              ({ State }) => State === "running",
            ) && (await leftOf(cluster)).length > 2,
          "the second step",
          60_000,
        );
        child.kill("SIGKILL");
        const workshop = newWorkshop({}, cluster);
        await workshop.open();
        expect(await leftOf(cluster)).toEqual([]);
        await workshop.close();
      } finally {
        child.kill("SIGKILL");
      }
    }, 300_000);
  },
);
