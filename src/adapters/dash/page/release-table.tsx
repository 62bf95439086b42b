import type { ReleaseView } from "@dinp/core";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAction } from "./actions.js";
import { client } from "./api.js";
import { Confirm } from "./confirm.js";
import { Moment } from "./instance-table.js";
import { Problem } from "./problem.js";
import { RolloutBadge } from "./state-badge.js";
import { plain, shortDigest } from "./text.js";

interface ReleaseTableProps {
  readonly app: string;
  /** Newest first. */
  readonly releases: readonly ReleaseView[];
  readonly onChanged: () => void;
}

/** What was released, and the way back. */
export function ReleaseTable({ app, releases, onChanged }: ReleaseTableProps): JSX.Element {
  const action = useAction();
  const [asked, setAsked] = useState<number | null>(null);
  const [done, setDone] = useState("");
  const rollBack = (to: number): void => {
    setDone("");
    action.start(async (signal) => {
      const { number } = await client.rollback(app, { to }, { signal });
      setDone(`Release ${String(number)} is release ${String(to)} again.`);
      onChanged();
    });
  };
  if (releases.length === 0) return <p class="quiet">Nothing was released yet.</p>;
  return (
    <>
      <table>
        <thead>
          <tr>
            <th scope="col">Release</th>
            <th scope="col">Rollout</th>
            <th scope="col">Image</th>
            <th scope="col">Made</th>
            <th scope="col">Note</th>
            <th scope="col">
              <span class="hidden">Roll back</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {releases.map((release) => (
            <ReleaseRow
              key={release.number}
              release={release}
              isDisabled={action.isRunning}
              onRollBack={setAsked}
            />
          ))}
        </tbody>
      </table>
      <p role="status" class="quiet">
        {action.isRunning ? "Rolling back …" : done}
      </p>
      {action.error !== null && <Problem error={action.error} />}
      {asked !== null && (
        <Confirm
          title={`Roll back to release ${String(asked)}?`}
          button="Roll back"
          onClose={(isConfirmed) => {
            setAsked(null);
            if (isConfirmed) rollBack(asked);
          }}
        >
          A new release is made with its image, command and variables, and rolls out as any other.
        </Confirm>
      )}
    </>
  );
}

interface ReleaseRowProps {
  readonly release: ReleaseView;
  readonly isDisabled: boolean;
  readonly onRollBack: (to: number) => void;
}

function ReleaseRow({ release, isDisabled, onRollBack }: ReleaseRowProps): JSX.Element {
  const { number, rollout, digest, createdAt, createdBy, note, current } = release;
  return (
    <tr aria-current={current ? "true" : undefined}>
      <th scope="row">
        {number} {current && <span class="quiet">(current)</span>}
      </th>
      <td data-label="Rollout">
        {rollout === null ? "–" : <RolloutBadge state={rollout.state} />}
        {rollout?.state === "failed" && <p class="problem">{plain(rollout.reason)}</p>}
      </td>
      <td data-label="Image">
        <code title={digest}>{shortDigest(digest)}</code>
      </td>
      <td data-label="Made">
        <Moment at={createdAt} /> by {createdBy}
      </td>
      <td data-label="Note">{note === "" ? "–" : plain(note)}</td>
      <td>
        {!current && (
          <button
            type="button"
            class="plain"
            disabled={isDisabled}
            onClick={() => {
              onRollBack(number);
            }}
          >
            Roll back<span class="hidden"> to release {number}</span>
          </button>
        )}
      </td>
    </tr>
  );
}
