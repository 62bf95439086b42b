import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { ExecEvent } from "@dinp/core";
import { fetchText, ProcessHarness } from "./process-support/harness.js";

const CANARY = "canary-93cd correct horse";
const SERVER = `
require("node:http").createServer((request, response) => response.end(JSON.stringify(process.env)))
  .listen(Number(process.env.PORT));
`;

async function textOf(events: AsyncIterable<ExecEvent>): Promise<string> {
  let text = "";
  for await (const event of events) if (event.type === "output") text += Buffer.from(event.bytes).toString();
  return text;
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

it("an instance and the commands beside it have its secrets, which no file of the node has", async () => {
  const harness = await ProcessHarness.make();
  onTestFinished(() => harness.dispose());
  const image = await harness.makeImage({ "server.js": SERVER });
  await harness.runtime.prepareImage(image);
  const spec = {
    ...(await harness.spec(image)),
    env: { TOKEN: CANARY, PLAIN: "seen-in-the-file" },
    secretNames: ["TOKEN"],
  };
  await harness.runtime.start(spec);
  expect(JSON.parse(await fetchText(spec.port))).toMatchObject({ TOKEN: CANARY, PLAIN: "seen-in-the-file" });

  await harness.reopen();
  const options = {
    command: ["node", "-p", "process.env.TOKEN + process.env.PLAIN"],
    signal: new AbortController().signal,
  };
  const told = harness.runtime.exec(spec.instanceId, { ...options, secrets: { TOKEN: CANARY } });
  expect(await textOf(told)).toBe(`${CANARY}seen-in-the-file\n`);
  expect(await textOf(harness.runtime.exec(spec.instanceId, options))).toBe("undefinedseen-in-the-file\n");
  expect(JSON.parse(await fetchText(spec.port))).toMatchObject({ TOKEN: CANARY });

  const texts = await Promise.all(
    (await filesBelow(harness.dataDir)).map((file) => readFile(file, "latin1")),
  );
  expect(texts.join("\n")).toContain("seen-in-the-file");
  expect(texts.join("\n")).not.toContain("canary-93cd");
});
