import type { BuildView, ReleaseRequest } from "@dinp/core";
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { useAction } from "./actions.js";
import { client, uploadBuild } from "./api.js";
import { BuildProblem } from "./build-problem.js";
import type { Sent } from "./exchange.js";
import { FileField } from "./file-field.js";
import { appNameOf, megabytes } from "./text.js";

interface DeployFormProps {
  /** The app's name; null: it is asked for. */
  readonly app: string | null;
  /** The release is made; it rolls out by itself. */
  readonly onReleased: (app: string) => void;
}

type Step = { readonly kind: "uploading"; readonly sent: Sent } | { readonly kind: "releasing" };

/** Deploys a file or an image as an app's next release. */
export function DeployForm({ app, onReleased }: DeployFormProps): JSX.Element {
  const id = useId();
  const [name, setName] = useState(app ?? "");
  const [source, setSource] = useState<"file" | "image">("file");
  const [file, setFile] = useState<File | null>(null);
  const [image, setImage] = useState("");
  const [command, setCommand] = useState("");
  const [note, setNote] = useState("");
  const [step, setStep] = useState<Step | null>(null);
  const [outcome, setOutcome] = useState("");
  const action = useAction();

  const choose = (chosen: File | null): void => {
    setFile(chosen);
    if (app === null && name === "" && chosen !== null) setName(appNameOf(chosen.name));
  };
  const deploy = async (signal: AbortSignal): Promise<void> => {
    setOutcome("");
    try {
      const request: ReleaseRequest = { ...given("command", command), ...given("note", note) };
      const from = source === "image" ? { image: image.trim() } : { buildId: (await upload(signal)).id };
      setStep({ kind: "releasing" });
      const { number, unchanged } = await client.createRelease(name, { ...request, ...from }, { signal });
      setFile(null);
      setOutcome(
        unchanged ? `Nothing differs from release ${String(number)}.` : `Release ${String(number)} is made.`,
      );
      onReleased(name);
    } finally {
      setStep(null);
    }
  };
  const upload = (signal: AbortSignal): Promise<BuildView> => {
    if (file === null) throw new TypeError("Choose a file first.");
    const onSent = (sent: Sent): void => {
      setStep({ kind: "uploading", sent });
    };
    onSent({ bytes: 0, all: file.size });
    return uploadBuild(name, file, { onSent, signal, ...given("command", command) });
  };

  return (
    <form
      class="deploy"
      onSubmit={(event) => {
        event.preventDefault();
        action.start(deploy);
      }}
    >
      <fieldset disabled={action.isRunning}>
        <legend class="hidden">What to deploy</legend>
        {app === null && (
          <TextField
            {...{ id: `${id}-name`, label: "Name", value: name, onValue: setName, isRequired: true }}
            hint="Lower-case letters, digits and hyphens. The name of an app that exists gets a new release."
          />
        )}
        <div class="choice" role="radiogroup" aria-label="Deploy from">
          <SourceChoice {...{ id, source: "file", label: "A file", chosen: source, onChoose: setSource }} />
          <SourceChoice
            {...{ id, source: "image", label: "An image", chosen: source, onChoose: setSource }}
          />
        </div>
        {source === "file" ? (
          <FileField id={`${id}-file`} file={file} onFile={choose} />
        ) : (
          <TextField
            {...{ id: `${id}-image`, label: "Image", value: image, onValue: setImage, isRequired: true }}
            hint="REPOSITORY:TAG or REPOSITORY@sha256:…, in a registry that the platform may use."
          />
        )}
        <details>
          <summary>More</summary>
          <TextField
            {...{
              id: `${id}-command`,
              label: "Command",
              value: command,
              onValue: setCommand,
              isRequired: false,
            }}
            hint="What starts the app. Default: as its manifest or its template says."
          />
          <TextField
            {...{ id: `${id}-note`, label: "Note", value: note, onValue: setNote, isRequired: false }}
            hint="For the history, such as what has changed."
          />
        </details>
      </fieldset>
      {action.error !== null && <BuildProblem app={name} error={action.error} />}
      <div class="buttons">
        <button type="submit" disabled={action.isRunning}>
          Deploy
        </button>
        {action.isRunning && (
          <button type="button" class="plain" onClick={action.cancel}>
            Cancel
          </button>
        )}
        <Progress step={step} />
        <span role="status" class="quiet">
          {step === null ? outcome : textOf(step)}
        </span>
      </div>
    </form>
  );
}

function given<K extends string>(key: K, value: string): Partial<Record<K, string>> {
  const entry: Partial<Record<K, string>> = {};
  if (value.trim() !== "") entry[key] = value.trim();
  return entry;
}

interface TextFieldProps {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly hint: string;
  readonly isRequired: boolean;
  readonly onValue: (value: string) => void;
}

function TextField({ id, label, value, hint, isRequired, onValue }: TextFieldProps): JSX.Element {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...{
          id,
          value,
          required: isRequired,
          autocomplete: "off",
          autocapitalize: "off",
          spellcheck: false,
        }}
        aria-describedby={`${id}-hint`}
        onInput={(event) => {
          onValue(event.currentTarget.value);
        }}
      />
      <p id={`${id}-hint`} class="hint">
        {hint}
      </p>
    </div>
  );
}

interface SourceChoiceProps {
  readonly id: string;
  readonly source: "file" | "image";
  readonly label: string;
  readonly chosen: "file" | "image";
  readonly onChoose: (source: "file" | "image") => void;
}

function SourceChoice({ id, source, label, chosen, onChoose }: SourceChoiceProps): JSX.Element {
  return (
    <label>
      <input
        type="radio"
        name={`${id}-source`}
        checked={chosen === source}
        onChange={() => {
          onChoose(source);
        }}
      />
      {label}
    </label>
  );
}

function Progress({ step }: { readonly step: Step | null }): JSX.Element | null {
  if (step === null) return null;
  // Without a value it shows that something goes on.
  const isOpen = step.kind === "releasing" || step.sent.bytes >= step.sent.all;
  return (
    <progress aria-label="Deploying" {...(isOpen ? {} : { value: step.sent.bytes, max: step.sent.all })} />
  );
}

function textOf(step: Step): string {
  if (step.kind === "releasing") return "Making the release …";
  const { bytes, all } = step.sent;
  return bytes < all ? `Sent ${megabytes(bytes)} of ${megabytes(all)}` : "Making the image …";
}
