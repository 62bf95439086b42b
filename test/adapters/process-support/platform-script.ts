// A platform of its own process: opens a runtime and starts the given instances, then waits to be killed.
import type { InstanceSpec } from "@dinp/core";
import { createProcessRuntime } from "@dinp/core/process";
import { createSystemClock } from "@dinp/core/system";
import { unpackFrom } from "./harness.js";

interface Order {
  readonly dataDir: string;
  readonly sourceDir: string;
  readonly clusterId: string;
  readonly specs: readonly InstanceSpec[];
  /** Run beside each instance and as a one-off of each. */
  readonly command?: readonly string[];
}

const order = JSON.parse(process.argv[2] ?? "") as Order;
const runtime = createProcessRuntime({
  dataDir: order.dataDir,
  clusterId: order.clusterId,
  unpack: unpackFrom(order.sourceDir),
  clock: createSystemClock(),
});
await runtime.open();
process.stdout.write("open\n");
for (const spec of order.specs) {
  await runtime.prepareImage(spec.image);
  await runtime.start(spec);
  process.stdout.write(`started ${spec.instanceId}\n`);
  if (order.command !== undefined) {
    const options = { command: order.command, signal: new AbortController().signal };
    for (const events of [
      runtime.exec(spec.instanceId, options),
      runtime.run({ ...spec, instanceId: `once-${spec.instanceId}` }, options),
    ]) {
      const reading = events[Symbol.asyncIterator]();
      await reading.next();
      process.stdout.write(`began ${spec.instanceId}\n`);
    }
  }
}
setInterval(() => undefined, 1_000);
