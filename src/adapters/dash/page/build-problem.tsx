import type { DinpError } from "@dinp/core";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { client } from "./api.js";
import { LogTail } from "./log-tail.js";
import { Problem } from "./problem.js";

interface BuildProblemProps {
  readonly app: string;
  readonly error: DinpError;
}

/** Why a deployment failed; of a build also what the builder did. */
export function BuildProblem({ app, error }: BuildProblemProps): JSX.Element {
  const [lines, setLines] = useState<readonly string[]>([]);
  const buildId = error.details["buildId"];
  useEffect(() => {
    setLines([]);
    if (typeof buildId !== "string") return;
    const end = new AbortController();
    client.getBuildLog(app, buildId, { signal: end.signal }).then(
      (log) => {
        setLines(log.lines);
      },
      // The error itself is shown already.
      () => undefined,
    );
    return () => {
      end.abort();
    };
  }, [app, buildId]);
  return (
    <>
      <Problem error={error} />
      {lines.length > 0 && <LogTail title="What the builder did" lines={lines} />}
    </>
  );
}
