import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_ROOM, NodeTree } from "../../src/core/plan/node-tree.js";

const room = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      ratio: fc.integer({ min: -2, max: 4 }),
      memoryMb: fc.nat(8),
      cpuMillis: fc.nat(8),
    }),
  },
  { weight: 1, arbitrary: fc.constant(NO_ROOM) },
);

test("finds the freest place that has room and is accepted, the first of equally free ones", () => {
  const input = fc.record({
    size: fc.integer({ min: 0, max: 20 }),
    sets: fc.array(fc.record({ place: fc.nat(19), room }), { maxLength: 60 }),
    asks: fc.array(fc.record({ memoryMb: fc.nat(8), cpuMillis: fc.nat(8), refused: fc.array(fc.nat(19)) })),
  });
  fc.assert(
    fc.property(input, ({ size, sets, asks }) => {
      const tree = new NodeTree(size);
      const rooms = Array.from({ length: size }, () => NO_ROOM);
      for (const set of sets) {
        if (set.place >= size) continue;
        rooms[set.place] = set.room;
        tree.set(set.place, set.room);
      }
      for (const { memoryMb, cpuMillis, refused } of asks) {
        let best = -1;
        rooms.forEach((candidate, place) => {
          if (candidate.memoryMb < memoryMb || candidate.cpuMillis < cpuMillis || refused.includes(place))
            return;
          if (best === -1 || candidate.ratio > (rooms[best]?.ratio ?? 0)) best = place;
        });
        expect(tree.find(memoryMb, cpuMillis, (place) => !refused.includes(place))).toBe(best);
      }
    }),
    { numRuns: 500 },
  );
});

test("looks at few of many nodes", () => {
  const tree = new NodeTree(10_000);
  for (let place = 0; place < 10_000; place += 1)
    tree.set(place, { ratio: 0.5, memoryMb: 512, cpuMillis: 100 });
  let asked = 0;
  const found = tree.find(128, 100, (place) => {
    asked += 1;
    return place >= 10;
  });
  expect(found).toBe(10);
  expect(asked).toBe(11);
});
