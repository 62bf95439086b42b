import type { JSX } from "preact";
import type { Polled } from "./polling.js";
import { Problem } from "./problem.js";

/** Says when what is shown could not be read again, and from when it is. */
export function Connection({ error, readAt, value }: Polled<unknown>): JSX.Element | null {
  if (error === null) return null;
  return (
    <div class="connection">
      <Problem error={error} />
      <p>
        {value === null
          ? "It is asked again every few seconds."
          : `What is shown below is from ${new Date(readAt).toLocaleTimeString()}. It is asked again every few seconds.`}
      </p>
    </div>
  );
}
