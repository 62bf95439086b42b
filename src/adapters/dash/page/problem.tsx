import type { DinpError } from "@dinp/core";
import type { JSX } from "preact";
import { plain } from "./text.js";

/** An error as the API tells it: what was wrong, what to do, and its code. */
export function Problem({ error }: { readonly error: DinpError }): JSX.Element {
  return (
    <div class="notice bad" role="alert">
      <p>{plain(error.message)}</p>
      {error.hint !== undefined && <p class="hint">{plain(error.hint)}</p>}
      <p class="code">{error.code}</p>
    </div>
  );
}
