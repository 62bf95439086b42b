import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useAction } from "./actions.js";
import { signIn } from "./api.js";
import { Problem } from "./problem.js";

interface SignInProps {
  /** A session was there, and is no more. */
  readonly hasEnded: boolean;
  readonly onSignedIn: () => void;
}

/** Asks for a token, and exchanges it for a session. */
export function SignIn({ hasEnded, onSignedIn }: SignInProps): JSX.Element {
  const [token, setToken] = useState("");
  const action = useAction();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in – DINP";
    field.current?.focus();
  }, []);
  // A field without a name, in a form that posts: were the script gone, the token would still be in no URL.
  return (
    <main class="narrow">
      <h1>Sign in</h1>
      {hasEnded && (
        <p class="notice" role="status">
          Your session has ended.
        </p>
      )}
      <form
        method="post"
        onSubmit={(event) => {
          event.preventDefault();
          action.start(async () => {
            await signIn(token.trim());
            onSignedIn();
          });
        }}
      >
        <label for="token">Token</label>
        <input
          {...{ id: "token", type: "password", autocomplete: "current-password", required: true }}
          ref={field}
          aria-describedby="token-help"
          value={token}
          onInput={(event) => {
            setToken(event.currentTarget.value);
          }}
        />
        <p id="token-help" class="hint">
          The one that you give to <code>dinp login</code>. The page does not keep it.
        </p>
        {action.error !== null && <Problem error={action.error} />}
        <button type="submit" disabled={action.isRunning}>
          {action.isRunning ? "Signing in …" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
