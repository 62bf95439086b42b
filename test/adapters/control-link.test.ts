import { describe, it } from "vitest";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { controlLinkSuite } from "@dinp/core/testing";

describe("in-process control link: the contract", () => {
  const suite = controlLinkSuite(
    () => {
      const link = createInProcessControlLink();
      return Promise.resolve({
        server: link,
        agent: () => Promise.resolve(link),
        cut: null,
        dispose: () => Promise.resolve(),
      });
    },
    { supports: { cut: false } },
  );
  for (const { name, run } of suite) it(name, run);
});
