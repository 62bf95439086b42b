import { Redis } from "ioredis";

/** How long a message takes from PUBLISH until the last of so many subscribers has it; each time in milliseconds. */
export async function measurePublish(
  url: string,
  subscribers: number,
  times: number,
): Promise<readonly number[]> {
  const publisher = new Redis(url);
  const connections = Array.from({ length: subscribers }, () => new Redis(url));
  const channel = `dinp-bench-${String(process.pid)}`;
  let missing = 0;
  let onAll: () => void = () => undefined;
  for (const connection of connections) {
    connection.on("message", () => {
      missing -= 1;
      if (missing === 0) onAll();
    });
  }
  try {
    await Promise.all(connections.map((connection) => connection.subscribe(channel)));
    const latencies: number[] = [];
    for (let index = 0; index < times; index += 1) {
      missing = subscribers;
      const all = new Promise<void>((resolve) => {
        onAll = resolve;
      });
      const start = performance.now();
      await publisher.publish(channel, "1");
      await all;
      latencies.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return latencies;
  } finally {
    for (const connection of [publisher, ...connections]) connection.disconnect();
  }
}
