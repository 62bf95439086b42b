import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  imageLabels,
  kinds,
  mediaTypes,
  type ImageRef,
  type Registry,
  type RegistryConnector,
} from "@dinp/core";
import { createFileSecretBox } from "@dinp/core/system";
import { afterAll, beforeAll, expect, it } from "vitest";
import { clientOf, ownPath, tlsOptions } from "../adapters/oci-support/clients.js";
import { FaultProxy } from "../adapters/oci-support/fault-proxy.js";
import { errorOf, everythingOf } from "../adapters/oci-support/images.js";
import { makeTar, stream } from "../build/support.js";
import { describeWithServices } from "../support/services.js";
import { createWorld, type World } from "./world.js";

const connector: RegistryConnector = {
  connect: ({ host, credentials, ca, plainHttp }) => {
    const registry = clientOf(`${plainHttp ? "http" : "https"}://${host}`, {
      ...(credentials === null ? {} : { credentials }),
      ...(ca === null ? {} : { ca }),
    });
    return { registry, close: () => registry.close() };
  },
};

interface Made {
  readonly repository: string;
  readonly answer: string;
  readonly tag?: string;
  readonly architecture?: string;
}

/** Puts an image into a registry as another tool would have made it. */
async function putImage(registry: Registry, made: Made): Promise<ImageRef> {
  const { repository, answer, tag, architecture = "amd64" } = made;
  const content = `#!/bin/sh\necho ${answer}\n`;
  const tar = await makeTar([{ name: "app/run", content, mode: 0o755 }]);
  const layer = await registry.writeBlob(repository, stream(tar));
  const config = {
    architecture,
    os: "linux",
    config: { Cmd: ["/app/run"], WorkingDir: "/app", Labels: { [imageLabels.template]: "plain" } },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  };
  const stored = await registry.writeBlob(repository, stream(Buffer.from(JSON.stringify(config))));
  return putManifest(registry, repository, tag, mediaTypes.manifest, {
    config: { mediaType: mediaTypes.config, ...stored },
    layers: [{ mediaType: mediaTypes.layerTar, ...layer }],
  });
}

async function putManifest(
  registry: Registry,
  repository: string,
  tag: string | undefined,
  mediaType: string,
  body: object,
): Promise<ImageRef> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...body }));
  const { digest } = await registry.writeManifest(
    repository,
    { mediaType, bytes },
    tag === undefined ? {} : { tag },
  );
  return { repository, digest };
}

describeWithServices(["registry", "registry-tls"], "images of other registries", (places) => {
  const host = new URL(places.DINP_TEST_REGISTRY).host;
  const tlsHost = new URL(places.DINP_TEST_REGISTRY_TLS).host;
  const tls = tlsOptions(places);
  const there = clientOf(places.DINP_TEST_REGISTRY);
  const thereTls = clientOf(places.DINP_TEST_REGISTRY_TLS, tls);
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dinp-registries-"));
  });

  afterAll(async () => {
    await there.close();
    await thereTls.close();
    await rm(folder, { recursive: true });
  });

  const openWorld = (): Promise<World> =>
    createWorld({
      registries: connector,
      secrets: createFileSecretBox({ keyFile: join(folder, "secrets.key") }),
    });

  const release = (world: World, image: string, app = "hello") =>
    world.platform.createRelease(app, { image }, world.write());

  it("are taken only from registries that somebody allowed", async () => {
    await using world = await openWorld();
    const refused = await errorOf(release(world, `${host}/some/image:v1`));
    expect(refused).toMatchObject({ code: "DINP_INVALID" });
    expect(String(refused)).toContain(`takes no images from ${host} so far`);
    expect((refused as { hint: string }).hint).toContain(`dinp registries add ${host}`);
    await world.platform.addRegistry(host, { plainHttp: true }, world.write());
    expect(await errorOf(release(world, `${host}/some/image:v1`))).toMatchObject({
      code: "DINP_IMAGE_NOT_FOUND",
    });
    await world.platform.removeRegistry(host, world.write());
    expect(await errorOf(release(world, `${host}/some/image:v1`))).toMatchObject({ code: "DINP_INVALID" });
    expect(await world.platform.listRegistries()).toEqual([]);
  });

  it("become the app's own under the same digest; a tag that moves deploys nothing, however often it is looked at", async () => {
    await using world = await openWorld();
    await world.platform.addRegistry(host, { plainHttp: true }, world.write());
    const repository = `${ownPath()}/shop/web`;
    const name = `${host}/${repository}:live`;
    const first = await putImage(there, { repository, answer: "one", tag: "live" });
    const made = await release(world, name);
    expect(made).toMatchObject({ number: 1, digest: first.digest, unchanged: false });
    expect((await world.records("release")).at(-1)?.image).toEqual({
      repository: "apps/hello",
      digest: first.digest,
    });
    await world.endRollout("hello", "complete");

    const second = await putImage(there, { repository, answer: "two", tag: "live" });
    expect(second.digest).not.toBe(first.digest);
    for (let round = 0; round < 5; round += 1) {
      await world.platform.tidy();
      expect((await world.platform.getApp("hello")).digest).toBe(first.digest);
      // Named by what it is, it is what runs: no release, no rollout.
      expect(await release(world, `${host}/${repository}@${first.digest}`)).toMatchObject({
        number: 1,
        unchanged: true,
      });
    }
    expect(await world.records("release")).toHaveLength(1);
    expect(await release(world, name)).toMatchObject({ number: 2, digest: second.digest });
    expect(await release(world, name)).toMatchObject({ number: 2, unchanged: true });

    // The copy is the platform's own: what happens there does not matter any more.
    await there.delete(repository, first.digest);
    expect(await world.platform.rollback("hello", { to: 1 }, world.write())).toMatchObject({
      digest: first.digest,
    });
    expect((await world.registry.readManifest("apps/hello", first.digest)).digest).toBe(first.digest);
  });

  it("are, of an index, the one for the nodes", async () => {
    await using world = await openWorld();
    await world.platform.addRegistry(host, { plainHttp: true }, world.write());
    const repository = `${ownPath()}/multi`;
    const images: object[] = [];
    const digests: string[] = [];
    for (const architecture of ["arm64", "amd64"]) {
      const { digest } = await putImage(there, { repository, answer: architecture, architecture });
      const size = (await there.readManifest(repository, digest)).bytes.length;
      const platform = { os: "linux", architecture };
      images.push({ mediaType: mediaTypes.manifest, digest, size, platform });
      digests.push(digest);
    }
    const index = "application/vnd.oci.image.index.v1+json";
    await putManifest(there, repository, "all", index, { manifests: images });
    await putManifest(there, repository, "arm", index, { manifests: images.slice(0, 1) });
    expect(await release(world, `${host}/${repository}:all`)).toMatchObject({ digest: digests[1] });
    expect(await errorOf(release(world, `${host}/${repository}:arm`, "other"))).toMatchObject({
      code: "DINP_IMAGE_NOT_FOUND",
      hint: expect.stringContaining("linux/arm64"),
    });
  });

  it("are taken with a user and a password, which nobody is shown", async () => {
    await using world = await openWorld();
    const repository = `${ownPath()}/private`;
    const image = await putImage(thereTls, { repository, answer: "private", tag: "v1" });
    const name = `${tlsHost}/${repository}:v1`;
    const { username, password } = tls.credentials;
    const wrong = "correct-horse-battery";
    const seen: unknown[] = [];

    seen.push(
      await world.platform.addRegistry(tlsHost, { username, password: wrong, ca: tls.ca }, world.write("a")),
    );
    const refused = await errorOf(release(world, name));
    expect(refused).toMatchObject({ code: "DINP_INVALID" });
    expect(String(refused)).toContain("refuses the user or the password");
    seen.push(everythingOf(refused));

    seen.push(
      await world.platform.addRegistry(tlsHost, { username, password, ca: tls.ca }, world.write("b")),
    );
    expect(await release(world, name)).toMatchObject({ digest: image.digest });
    seen.push(await world.platform.addBase("runner", { image: name }, world.write()));
    expect(await world.platform.listBases()).toMatchObject([{ name: "runner", digest: image.digest }]);
    expect(await world.platform.listRegistries()).toEqual([
      expect.objectContaining({ host: tlsHost, username, hasCa: true, plainHttp: false }),
    ]);

    const broken = { username, password: "correct-horse\nbattery" };
    seen.push(everythingOf(await errorOf(world.platform.addRegistry(tlsHost, broken, world.write()))));
    for (const kind of kinds) seen.push(await world.records(kind));
    seen.push(await world.platform.listRegistries(), await world.platform.listEvents({}), world.logger.lines);
    const text = JSON.stringify(seen);
    for (const secret of [password, wrong, "correct-horse"]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(`${username}:${secret}`).toString("base64"));
      expect(text).not.toContain(Buffer.from(secret).toString("base64"));
    }
    expect((await stat(join(folder, "secrets.key"))).mode & 0o777).toBe(0o600);
  });

  it("leave nothing that looks whole when they are cut off on their way", { timeout: 60_000 }, async () => {
    const proxy = await FaultProxy.start(Number(new URL(places.DINP_TEST_REGISTRY).port));
    try {
      await using world = await openWorld();
      const via = `127.0.0.1:${String(proxy.port)}`;
      await world.platform.addRegistry(via, { plainHttp: true }, world.write());
      const repository = `${ownPath()}/cut`;
      const { digest } = await putImage(there, { repository, answer: "x".repeat(200_000), tag: "v1" });
      proxy.set({ kind: "cut", way: "down", afterBytes: 50_000, times: 100 });
      const failed = await errorOf(release(world, `${via}/${repository}:v1`));
      expect(failed).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
      expect(await errorOf(world.registry.readManifest("apps/hello", digest))).toMatchObject({
        code: "DINP_IMAGE_NOT_FOUND",
      });
      expect(await world.records("app")).toEqual([]);
      proxy.set({ kind: "none" });
      expect(await release(world, `${via}/${repository}:v1`)).toMatchObject({ number: 1, digest });
    } finally {
      await proxy.close();
    }
  });

  it.each([
    ["a scheme", "https://registry.example", {}],
    ["a path", "registry.example/team", {}],
    ["no dot and no port", "registry", {}],
    ["a port that is none", "registry.example:99999", {}],
    ["a user alone", "registry.example", { username: "me" }],
    ["a password alone", "registry.example", { password: "hush" }],
    ["a colon in the user", "registry.example", { username: "me:you", password: "hush" }],
    ["no certificate", "registry.example", { ca: "hush" }],
    [
      "a broken certificate",
      "registry.example",
      { ca: "-----BEGIN CERTIFICATE-----\nhush\n-----END CERTIFICATE-----" },
    ],
  ] as const)("are not allowed with %s", async (_, wanted, request) => {
    await using world = await openWorld();
    const refused = await errorOf(world.platform.addRegistry(wanted, request, world.write()));
    expect(refused).toMatchObject({ code: "DINP_INVALID", hint: expect.any(String) });
    expect(String(refused)).not.toContain("hush");
    expect(await world.platform.listRegistries()).toEqual([]);
  });
});
