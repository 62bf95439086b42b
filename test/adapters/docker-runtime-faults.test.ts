import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isDinpError, type InstanceSpec } from "@dinp/core";
import { programs } from "../../src/core/testing/runtime-programs.js";
import { describeWithServices } from "../support/services.js";
import { EngineProcess } from "./docker-support/engine-process.js";
import { answerOf, DockerHarness, DockerStage, drain } from "./docker-support/harness.js";
import { eventually } from "./process-support/harness.js";

const NEVER = new AbortController().signal;

/** True when it succeeded, false when it could not be told; anything else fails. */
async function done(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isDinpError(error, "DINP_UNAVAILABLE") && error.retryable) return false;
    throw error;
  }
}

describeWithServices(["docker"], "docker runtime, and an engine that is killed", () => {
  let engine: EngineProcess;
  let stage: DockerStage;
  let harness: DockerHarness;

  beforeAll(async () => {
    engine = await EngineProcess.start();
    await engine.setLiveRestore(true);
    await engine.kill();
    await engine.restart();
    stage = await DockerStage.start(engine.socket);
    harness = await DockerHarness.make(stage);
  }, 300_000);

  afterAll(async () => {
    await harness.dispose();
    await stage.dispose();
    await engine.dispose();
  }, 300_000);

  const containers = () => engine.client.containers(`io.dinp.cluster=${harness.clusterId}`);

  /** Begins the calls, kills the engine amid them, starts it again, and gives what became of them. */
  async function killAmid(
    afterMs: number,
    begin: () => readonly Promise<unknown>[],
  ): Promise<readonly boolean[]> {
    const outcomes = begin().map((call) => done(call));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await engine.kill();
    await engine.restart();
    return Promise.all(outcomes);
  }

  async function running(parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    const spec = await harness.spec(await harness.image(programs), parts);
    expect(await harness.runtime.start(spec)).toMatchObject({ state: "running" });
    await answerOf(spec.port).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await asEngineSees(spec)}`);
    });
    return spec;
  }

  /** For whoever reads of a failure: the instance, and its container. */
  async function asEngineSees({ instanceId }: InstanceSpec): Promise<string> {
    const found = (await containers()).find(({ Labels }) => Object.values(Labels).includes(instanceId));
    const path = `/containers/${found?.Id ?? "none"}/json`;
    const inspected = await engine.client.ask("GET", path).catch(String);
    return JSON.stringify([await harness.runtime.list(), inspected]).slice(0, 8_000);
  }

  async function removeAll(): Promise<void> {
    for (const { instanceId } of await harness.runtime.list()) await harness.runtime.remove(instanceId);
    expect(await containers()).toEqual([]);
  }

  describe("with live-restore", () => {
    it("starts each instance once, whenever that happens", { timeout: 300_000 }, async () => {
      const image = await harness.image(programs);
      for (const afterMs of [0, 20, 60, 120, 200, 400, 800]) {
        const specs = [await harness.spec(image), await harness.spec(image)];
        await killAmid(afterMs, () => specs.map((spec) => harness.runtime.start(spec)));
        for (const spec of specs) {
          await eventually(() => done(harness.runtime.start(spec)));
          const started = await harness.runtime.start(spec);
          if (started.state === "exited") {
            // An engine that dies amid a start may hold the port until it is started without live-restore.
            expect(started.exit).toMatchObject({
              cause: "start",
              message: expect.stringContaining("is taken"),
            });
            continue;
          }
          const { token } = JSON.parse(await answerOf(spec.port)) as { readonly token: string };
          await harness.runtime.start(spec);
          expect(JSON.parse(await answerOf(spec.port))).toMatchObject({ token });
        }
        expect(await harness.runtime.list()).toHaveLength(2);
        expect(await containers()).toHaveLength(2);
        await removeAll();
      }
    });

    it("leaves instances running, at their ports", { timeout: 300_000 }, async () => {
      const spec = await running();
      const before = await harness.runtime.list();
      const answer = await answerOf(spec.port);
      await engine.kill();
      for (let round = 0; round < 5; round += 1) {
        await expect(harness.runtime.list()).rejects.toMatchObject({
          code: "DINP_UNAVAILABLE",
          retryable: true,
        });
      }
      await engine.restart();
      expect(await harness.runtime.list()).toEqual(before);
      expect(await answerOf(spec.port)).toBe(answer);
      await removeAll();
    });

    it("stops and removes in the end what it was told to", { timeout: 300_000 }, async () => {
      for (const afterMs of [0, 50, 150, 400]) {
        const [stopped, removed] = [await running({ env: { TERM_TAKES: "for ever" } }), await running()];
        await killAmid(afterMs, () => [
          harness.runtime.stop(stopped.instanceId, { graceMs: 200 }),
          harness.runtime.remove(removed.instanceId),
        ]);
        await eventually(() => done(harness.runtime.stop(stopped.instanceId, { graceMs: 0 })));
        await eventually(() => done(harness.runtime.remove(removed.instanceId)));
        expect(await harness.runtime.list()).toMatchObject([
          { instanceId: stopped.instanceId, state: "exited", exit: { cause: "stopped" } },
        ]);
        await removeAll();
      }
    });

    it(
      "ends commands and followed logs as not to be told, and leaves nothing of them",
      { timeout: 300_000 },
      async () => {
        const options = { command: ["node", "talkative.js"], signal: NEVER };
        for (const afterMs of [60, 120, 500]) {
          const spec = await running();
          const outcomes = await killAmid(afterMs, () => [
            drain(harness.runtime.exec(spec.instanceId, options)),
            drain(harness.runtime.run({ ...spec, instanceId: "once" }, options)),
            drain(harness.runtime.logs(spec.instanceId, { follow: true })),
          ]);
          expect(outcomes).toEqual([false, false, false]);
          await answerOf(spec.port);
          await eventually(async () => (await containers()).length === 1);
          const processes = async (): Promise<number> => {
            const path = `/containers/${(await containers())[0]?.Id ?? ""}/top`;
            const top = (await engine.client.ask("GET", path)) as { readonly Processes: readonly unknown[] };
            return top.Processes.length;
          };
          await eventually(async () => (await processes()) === 2);
          await removeAll();
        }
      },
    );

    it("brings images whole, or not", { timeout: 300_000 }, async () => {
      for (const afterMs of [20, 100, 300]) {
        const image = await harness.makeImage(programs);
        await killAmid(afterMs, () => [harness.runtime.prepareImage(image)]);
        await eventually(() => done(harness.runtime.prepareImage(image)));
        const spec = await harness.spec(image);
        await harness.runtime.start(spec);
        await answerOf(spec.port);
        await removeAll();
      }
    });

    it("says that it cannot tell while the engine stands still", { timeout: 300_000 }, async () => {
      const impatient = await DockerHarness.make(stage, { engineTimeoutMs: 8_000 });
      try {
        await engine.pause();
        await expect(impatient.runtime.list()).rejects.toMatchObject({
          code: "DINP_UNAVAILABLE",
          retryable: true,
        });
      } finally {
        engine.resume();
      }
      await eventually(() => done(impatient.runtime.list()));
      expect(await impatient.runtime.list()).toEqual([]);
      await impatient.dispose();
    });
  });

  it("without live-restore tells the ends of all instances", { timeout: 300_000 }, async () => {
    await engine.setLiveRestore(false);
    await engine.terminate();
    await engine.restart();
    const spec = await running();
    const abort = new AbortController();
    const told = new Set<string>();
    const watching = (async () => {
      for await (const id of harness.runtime.watch({ signal: abort.signal })) told.add(id);
    })();
    await engine.terminate();
    await engine.restart();
    expect(await harness.runtime.list()).toMatchObject([
      { instanceId: spec.instanceId, state: "exited", exit: { cause: "exited" } },
    ]);
    expect(await harness.runtime.start(spec)).toMatchObject({ state: "exited" });
    await eventually(() => told.has(spec.instanceId));
    abort.abort();
    await watching;
    await removeAll();
  });
});
