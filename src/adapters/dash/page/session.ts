import type { PlatformInfo, SessionView } from "@dinp/core";
import { createContext } from "preact";

/** Who is signed in, and where. */
export interface SignedIn {
  readonly who: SessionView;
  readonly platform: PlatformInfo;
}

export interface SessionContext {
  /** The API does not know the session any more: back to the form. */
  readonly signedOut: () => void;
}

export const Session = createContext<SessionContext>({ signedOut: () => undefined });
