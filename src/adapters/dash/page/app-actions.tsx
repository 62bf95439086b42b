import type { AppDetail } from "@dinp/core";
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { useAction } from "./actions.js";
import { client } from "./api.js";
import { Confirm } from "./confirm.js";
import { Problem } from "./problem.js";
import { amount } from "./text.js";

interface AppActionsProps {
  readonly app: AppDetail;
  readonly onChanged: () => void;
  readonly children: ComponentChildren;
}

/** Scales, starts and stops an app. */
export function AppActions({ app, onChanged, children }: AppActionsProps): JSX.Element {
  const action = useAction();
  const [isStopping, setStopping] = useState(false);
  const [done, setDone] = useState("");
  const act = (work: (signal: AbortSignal) => Promise<unknown>, said: string): void => {
    setDone("");
    action.start(async (signal) => {
      await work(signal);
      setDone(said);
      onChanged();
    });
  };
  const isStopped = app.desired === "stopped";
  return (
    <div class="actions">
      <div class="buttons">
        {children}
        <button
          type="button"
          class="plain"
          disabled={action.isRunning || app.release === null}
          onClick={() => {
            if (isStopped) act((signal) => client.startApp(app.name, { signal }), "Starting.");
            else setStopping(true);
          }}
        >
          {isStopped ? "Start" : "Stop"}
        </button>
        <ScaleForm
          instances={app.instances}
          isDisabled={action.isRunning}
          onScale={(instances) => {
            act(
              (signal) => client.scaleApp(app.name, { instances }, { signal }),
              `${amount(instances, "instance")} wanted.`,
            );
          }}
        />
        <span role="status" class="quiet">
          {action.isRunning ? "…" : done}
        </span>
      </div>
      {action.error !== null && <Problem error={action.error} />}
      {isStopping && (
        <Confirm
          title={`Stop ${app.name}?`}
          button="Stop"
          onClose={(isConfirmed) => {
            setStopping(false);
            if (isConfirmed) act((signal) => client.stopApp(app.name, { signal }), "Stopping.");
          }}
        >
          It answers nobody until it is started again. Its releases and settings stay.
        </Confirm>
      )}
    </div>
  );
}

interface ScaleFormProps {
  readonly instances: number;
  readonly isDisabled: boolean;
  readonly onScale: (instances: number) => void;
}

function ScaleForm({ instances, isDisabled, onScale }: ScaleFormProps): JSX.Element {
  // What is being typed; null: as many as there are.
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <form
      class="scale"
      onSubmit={(event) => {
        event.preventDefault();
        onScale(Number(typed ?? instances));
        setTyped(null);
      }}
    >
      <label for="instances">Instances</label>
      <input
        {...{ id: "instances", type: "number", min: 0, step: 1, required: true, inputMode: "numeric" }}
        value={typed ?? String(instances)}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
        }}
      />
      <button
        type="submit"
        class="plain"
        disabled={isDisabled || typed === null || Number(typed) === instances}
      >
        Scale
      </button>
    </form>
  );
}
