import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { megabytes } from "./text.js";

interface FileFieldProps {
  readonly id: string;
  readonly file: File | null;
  readonly onFile: (file: File | null) => void;
}

/** Takes one file: dropped, or chosen. */
export function FileField({ id, file, onFile }: FileFieldProps): JSX.Element {
  const [isOver, setOver] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (file === null && field.current !== null) field.current.value = "";
  }, [file]);
  const drop = (files: FileList | undefined): void => {
    const [dropped] = files ?? [];
    if (dropped === undefined || field.current === null || files === undefined) return;
    // The field itself then says which file it is.
    field.current.files = files;
    onFile(dropped);
  };
  return (
    <div
      class={isOver ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => {
        setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        drop(event.dataTransfer?.files);
      }}
    >
      <label for={id}>Drop a file here, or choose one</label>
      <input
        {...{ id, type: "file", accept: ".gz,.tgz,.tar,.zip,.jar,.war", required: true }}
        ref={field}
        aria-describedby={`${id}-hint`}
        onChange={(event) => {
          onFile(event.currentTarget.files?.[0] ?? null);
        }}
      />
      <p id={`${id}-hint`} class="hint">
        {file === null ? "Code that is already built: .tar.gz, .zip, .jar or .war." : megabytes(file.size)}
      </p>
    </div>
  );
}
