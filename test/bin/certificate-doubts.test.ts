import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { certificateDoubts } from "../../src/bin/cluster/certificate-doubts.js";

const DAY_MS = 86_400_000;
let folder: string;
/** Good for 30 days, for localhost and 10.0.0.1. */
let cert: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-certificates-"));
  cert = readFileSync((await makeCertificates(folder, ["10.0.0.1", "fd00::1"])).certificate, "utf8");
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const good = ["https://10.0.0.1:7080", "https://[fd00::1]:7443", "https://localhost:7080"];

it.each([
  ["nothing of one that is good", 0, good, []],
  ["that it soon expires, from two weeks before", 17, good, [/^expires on .*: renew it$/]],
  ["that it has expired", 31, good, [/^expired on /]],
  ["that it is not valid yet", -1, good, [/^is not valid before /]],
  [
    "for whom it is, and not",
    0,
    ["https://10.0.0.1:7080", "https://10.0.0.2:7080", "https://web.example:7443"],
    [
      /^is for .*IP Address:10\.0\.0\.1.*, and not for https:\/\/10\.0\.0\.2:7080 and https:\/\/web\.example:7443, /,
    ],
  ],
])("tells %s", (_, days, urls, doubts) => {
  const found = certificateDoubts({ cert, urls }, Date.now() + days * DAY_MS);
  expect(found).toEqual(doubts.map((doubt) => expect.stringMatching(doubt) as string));
});
