import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTimers } from "../../src/core/plan/key-timers.js";

test("gives each app out once its last set time has come, whatever was set before", () => {
  const command = fc.oneof(
    fc.record({ app: fc.constantFrom("a", "b", "c", "d"), at: fc.option(fc.nat(50)) }),
    fc.record({ now: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
      const timers = new KeyTimers();
      const wanted = new Map<string, number>();
      for (const step of commands) {
        if ("now" in step) {
          const due = [...wanted].filter(([, at]) => at <= step.now).map(([app]) => app);
          expect(timers.takeDue(step.now).sort()).toEqual(due.sort());
          for (const app of due) wanted.delete(app);
        } else {
          timers.set(step.app, step.at);
          if (step.at === null) wanted.delete(step.app);
          else wanted.set(step.app, step.at);
        }
        expect(timers.next ?? Infinity).toBe(Math.min(Infinity, ...wanted.values()));
      }
    }),
    { numRuns: 300 },
  );
});
