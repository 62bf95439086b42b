// Runs the built programs: with vitest alone, run `npm run build` first.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { TestCluster, type ServerProgram } from "./cluster-support.js";
import { eventually, freePort } from "./harness.js";

interface Readiness {
  readonly status: number;
  readonly text: string;
}

async function readiness({ observeUrl }: ServerProgram): Promise<Readiness> {
  const answer = await fetch(`${observeUrl}/readyz`);
  return { status: answer.status, text: await answer.text() };
}

describeWithServices(["registry"], "servers that are told of by one address", ({ DINP_TEST_REGISTRY }) => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.start(DINP_TEST_REGISTRY);
  }, 480_000);

  afterEach(() => cluster.dispose(), 480_000);

  test("the one that does not lead is not ready, and says what to do, until it leads", async () => {
    const url = `http://127.0.0.1:${String(await freePort())}`;
    const first = await cluster.server("s1", "--url", url);
    const second = await cluster.server("s2", "--url", url);
    const reason = `address: the server that leads has the address ${url}, too\n`;
    await eventually("it is told", async () => (await readiness(second)).text === reason, 120_000);
    expect((await readiness(second)).status).toBe(503);
    await eventually("it says what to do", () =>
      second.output.includes('"hint":"Give each server addresses of its own'),
    );
    expect(await readiness(first)).toEqual({ status: 200, text: "ok\n" });
    await first.end("SIGKILL");
    await eventually("it leads", async () => (await readiness(second)).status === 200, 120_000);
  }, 480_000);
});
