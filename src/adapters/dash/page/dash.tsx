import { isDinpError, type DinpError } from "@dinp/core";
import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { client, signOut } from "./api.js";
import { AppPage } from "./app-page.js";
import { AppList } from "./app-list.js";
import { usePlace } from "./place.js";
import { errorOf, pause } from "./polling.js";
import { Problem } from "./problem.js";
import { Session, type SignedIn } from "./session.js";
import { SignIn } from "./sign-in.js";

type State =
  | { readonly kind: "asking"; readonly error: DinpError | null }
  | { readonly kind: "signed-out"; readonly hasEnded: boolean }
  | { readonly kind: "signed-in"; readonly session: SignedIn };

const AGAIN_MS = 3_000;

/** The whole page: the form to sign in, or what there is to see. */
export function Dash(): JSX.Element {
  const [state, setState] = useState<State>({ kind: "asking", error: null });
  const [turn, setTurn] = useState(0);
  const context = useMemo(
    () => ({
      signedOut: () => {
        setState({ kind: "signed-out", hasEnded: true });
      },
    }),
    [],
  );
  const askAgain = useCallback(() => {
    setTurn((last) => last + 1);
  }, []);

  useEffect(() => {
    const end = new AbortController();
    void askUntilKnown(setState, end.signal);
    return () => {
      end.abort();
    };
  }, [turn]);

  if (state.kind === "asking") return <Waiting error={state.error} />;
  if (state.kind === "signed-out") return <SignIn hasEnded={state.hasEnded} onSignedIn={askAgain} />;
  return (
    <Session.Provider value={context}>
      <SignedInPage session={state.session} onSignedOut={askAgain} />
    </Session.Provider>
  );
}

/** Whose session it is, if there is one; asks again while the API is away. */
async function askUntilKnown(tell: (state: State) => void, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const [who, platform] = await Promise.all([client.session({ signal }), client.info({ signal })]);
      tell({ kind: "signed-in", session: { who, platform } });
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      if (isDinpError(thrown, "DINP_UNAUTHENTICATED")) {
        tell({ kind: "signed-out", hasEnded: false });
        return;
      }
      tell({ kind: "asking", error: errorOf(thrown) });
      await pause(AGAIN_MS, signal);
    }
  }
}

function Waiting({ error }: { readonly error: DinpError | null }): JSX.Element {
  return (
    <main class="narrow">
      <h1>DINP</h1>
      {error === null ? <p>Loading …</p> : <Problem error={error} />}
      {error !== null && <p>It is asked again every few seconds.</p>}
    </main>
  );
}

interface SignedInPageProps {
  readonly session: SignedIn;
  readonly onSignedOut: () => void;
}

function SignedInPage({ session, onSignedOut }: SignedInPageProps): JSX.Element {
  const place = usePlace();
  const { who, platform } = session;
  const leave = (): void => {
    signOut().then(onSignedOut, onSignedOut);
  };
  return (
    <>
      <header>
        <a class="brand" href="#/">
          <img src="/icon.svg" alt="" width="24" height="24" />
          DINP
        </a>
        <span class="where">{platform.appsDomain}</span>
        <span class="who">
          {who.subject} <span class="quiet">({who.role})</span>
        </span>
        <button type="button" class="plain" onClick={leave}>
          Sign out
        </button>
      </header>
      <main>{place.kind === "apps" ? <AppList /> : <AppPage key={place.name} name={place.name} />}</main>
    </>
  );
}
