import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface ConfirmProps {
  readonly title: string;
  /** What the button that does it says. */
  readonly button: string;
  readonly onClose: (isConfirmed: boolean) => void;
  readonly children: ComponentChildren;
}

/** Asks before something is done. Escape and the first button mean no; the focus goes back to where it was. */
export function Confirm({ title, button, onClose, children }: ConfirmProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const close = (value: string) => () => {
    dialog.current?.close(value);
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby="confirm-title"
      onClose={(event) => {
        onClose(event.currentTarget.returnValue === "yes");
      }}
    >
      <h2 id="confirm-title">{title}</h2>
      <p>{children}</p>
      <div class="buttons">
        <button type="button" class="plain" onClick={close("no")}>
          Cancel
        </button>
        <button type="button" onClick={close("yes")}>
          {button}
        </button>
      </div>
    </dialog>
  );
}
