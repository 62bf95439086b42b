import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { registrySuite, type RegistryUnderTest } from "@dinp/core/testing";
import type { OciRegistryOptions } from "@dinp/core/oci";
import { describeWithServices } from "../support/services.js";
import { clientOf, ownPath, tlsOptions } from "./oci-support/clients.js";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import { RegistryProcess } from "./oci-support/registry-process.js";

/** A client behind a proxy that can cut it off, below a path of its own. */
async function underTest(
  address: string,
  options: Omit<Partial<OciRegistryOptions>, "url">,
): Promise<RegistryUnderTest> {
  const { port, protocol } = new URL(address);
  const proxy = await FaultProxy.start(Number(port));
  const url = `${protocol}//127.0.0.1:${String(proxy.port)}/${ownPath()}`;
  const registry = clientOf(url, options);
  return {
    registry,
    cut: async () => {
      proxy.set({ kind: "refuse" });
    },
    dispose: async () => {
      await registry.close();
      await expect.poll(() => proxy.open).toBe(0);
      await proxy.close();
    },
  };
}

describeWithServices(["registry"], "oci registry, open: the port's contract", (places) => {
  const suite = registrySuite({ cuts: true, create: () => underTest(places.DINP_TEST_REGISTRY, {}) });
  for (const { name, run } of suite) it(name, run);
});

describeWithServices(
  ["registry-tls"],
  "oci registry with TLS and basic auth: the port's contract",
  (places) => {
    const suite = registrySuite({
      cuts: true,
      create: () => underTest(places.DINP_TEST_REGISTRY_TLS, tlsOptions(places)),
    });
    for (const { name, run } of suite) it(name, run);
  },
);

describeWithServices(["registry"], "oci registry on damaged data: the port's contract", () => {
  const suite = registrySuite({
    damages: true,
    // It keeps what lies under a digest.
    mends: false,
    create: async () => {
      const server = await RegistryProcess.start();
      const registry = clientOf(server.url);
      return {
        registry,
        damage: (_, digest) => damageFile(server.blobPath(digest)),
        dispose: async () => {
          await registry.close();
          await server[Symbol.asyncDispose]();
        },
      };
    },
  });
  for (const { name, run } of suite) if (name.includes("damaged")) it(name, run);
});

/** Changes the size that a manifest says of its last layer, and some byte of anything else. */
async function damageFile(path: string): Promise<void> {
  const text = await readFile(path, "latin1");
  const at = text.startsWith("{") ? text.search(/\d\}\]/) : 10;
  const damaged = Buffer.from(text, "latin1");
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  await writeFile(path, damaged);
}
