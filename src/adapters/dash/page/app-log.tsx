import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLog } from "./following.js";
import { plain } from "./text.js";

/** So near to its end a reader is taken to follow the log. */
const AT_END_PX = 30;

/** What the app's instances write, as they write it. */
export function AppLog({ app }: { readonly app: string }): JSX.Element {
  const [isPaused, setPaused] = useState(false);
  const { lines, problem } = useLog(app, isPaused);
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current !== null && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  return (
    <div class="log">
      <pre
        {...{ tabIndex: 0, role: "log", "aria-live": "off", "aria-label": "Log of all instances" }}
        ref={box}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < AT_END_PX;
        }}
      >
        {lines.length === 0 && <span class="quiet">Nothing was written yet.</span>}
        {lines.map(({ key, instanceId, text }) => (
          <div key={key}>
            <span class="from">{instanceId.slice(-6)}</span> {plain(text)}
          </div>
        ))}
      </pre>
      <div class="buttons">
        <button
          type="button"
          class="plain"
          aria-pressed={isPaused}
          onClick={() => {
            setPaused(!isPaused);
          }}
        >
          {isPaused ? "Go on" : "Pause"}
        </button>
        <span class="quiet" role="status">
          {isPaused ? "Paused." : (problem ?? "")}
        </span>
      </div>
    </div>
  );
}
