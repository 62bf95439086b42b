import { afterAll, beforeAll, describe, it } from "vitest";
import { runtimeSuite } from "@dinp/core/testing";
import { describeWithServices } from "../support/services.js";
import { DockerHarness, DockerStage } from "./docker-support/harness.js";

describeWithServices(["docker"], "docker runtime: the contract", ({ DINP_TEST_DOCKER_SOCKET }) => {
  let stage: DockerStage;

  beforeAll(async () => {
    stage = await DockerStage.start(DINP_TEST_DOCKER_SOCKET);
  }, 300_000);

  afterAll(() => stage.dispose());

  /** Most of a case is waiting for the engine: some at the same time cost little more than one. */
  describe("case by case", { concurrent: true }, () => {
    // An engine that removes many containers at once lets one of them wait for long.
    for (const { name, run } of runtimeSuite(() => DockerHarness.make(stage), { waitMs: 60_000 }))
      it(name, { timeout: 600_000 }, run);
  });
});
