import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { controlLinkSuite } from "@dinp/core/testing";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { linkHarness, type Certificates } from "./websocket-support/link-rig.js";

describe("WebSocket control link: the contract", () => {
  for (const { name, run } of controlLinkSuite(() => linkHarness())) it(name, run);
});

describe("WebSocket control link over TLS: the contract", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dinp-link-tls-"));
  const certificates = await read(folder);
  afterAll(() => rm(folder, { recursive: true, force: true }));
  for (const { name, run } of controlLinkSuite(() => linkHarness(certificates))) it(name, run);
});

async function read(folder: string): Promise<Certificates> {
  const { ca, certificate, key } = await makeCertificates(folder);
  const [caText, cert, keyText] = await Promise.all(
    [ca, certificate, key].map((path) => readFile(path, "utf8")),
  );
  return { ca: caText ?? "", cert: cert ?? "", key: keyText ?? "" };
}
