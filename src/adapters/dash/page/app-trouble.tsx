import type { AppDetail } from "@dinp/core";
import type { JSX } from "preact";
import { LogTail } from "./log-tail.js";
import { plain, problemOf } from "./text.js";

/** The rollout while it runs, and what keeps the app from being as it should. */
export function AppTrouble({ app }: { readonly app: AppDetail }): JSX.Element {
  const { rollout, lastCrash, notices } = app;
  const problem = problemOf(app);
  const isRolling = rollout !== null && (rollout.state === "running" || rollout.state === "pending");
  const tail =
    rollout?.state === "failed" ? rollout.logTail : app.state === "running" ? [] : (lastCrash?.logTail ?? []);
  // Always there: what comes into it later is read out.
  return (
    <div role="status" class="trouble">
      {isRolling && (
        <div class="notice">
          <p>
            Release {rollout.number} is rolling out: {rollout.ready} of {rollout.wanted} ready.
          </p>
          {rollout.reason !== "" && <p class="hint">{plain(rollout.reason)}</p>}
        </div>
      )}
      {problem !== null && (
        <div class="notice bad">
          <p>{plain(problem)}</p>
          {notices.slice(1).map((notice) => (
            <p key={notice}>{plain(notice)}</p>
          ))}
          {tail.length > 0 && <LogTail title="The last lines of its log" lines={tail} />}
        </div>
      )}
    </div>
  );
}
