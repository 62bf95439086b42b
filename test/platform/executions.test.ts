import type { ClusterSource, ExecEvent } from "@dinp/core";
import { expect, it } from "vitest";
import { createWorld } from "./world.js";

const unasked = (): never => {
  throw new Error("This is not asked for here.");
};

it("runs a command in an instance that is to go on running, before one that is on its way out", async () => {
  const asked: string[] = [];
  const cluster: ClusterSource = {
    ...{ runOnce: unasked, plan: unasked },
    ...{ nextStartAt: () => null, routing: () => null, nodeLink: () => null, routerProgress: () => null },
    async *exec({ instanceId }): AsyncGenerator<ExecEvent> {
      asked.push(instanceId);
      yield await Promise.resolve({ type: "exit", code: 0, signal: null, message: null });
    },
  };
  await using world = await createWorld({ cluster: () => cluster });
  await world.push("hello");
  await world.place("hello", "i-1", true);
  await world.place("hello", "i-2", true);
  const options = { ...world.write(), signal: new AbortController().signal };
  const exec = async (): Promise<void> => {
    for await (const event of world.platform.exec("hello", { command: ["true"] }, options))
      expect(event).toMatchObject({ type: "exit", code: 0 });
  };
  for (const leaving of ["i-1", "i-2"]) {
    for (const placement of await world.records("placement")) {
      const desired = placement.instanceId === leaving ? "draining" : "running";
      await world.put("placement", { ...placement, desired });
    }
    await exec();
  }
  for (const placement of await world.records("placement"))
    await world.put("placement", { ...placement, desired: "draining" });
  await exec();
  expect(asked).toEqual(["i-2", "i-1", "i-1"]);
});
