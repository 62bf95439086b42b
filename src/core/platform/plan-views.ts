/** One thing that the platform would do. */
export interface PlanActionView {
  /** `place`: start one more. `drain`: off the route, then stop. `adopt`: keep one that was found running. `forget`: an ended one. */
  readonly type: "place" | "drain" | "stop" | "adopt" | "forget" | "rollout" | "remove";
  /** Null where there is none yet. */
  readonly instance: string | null;
  readonly node: string | null;
  /** Number of its release. */
  readonly release: number | null;
  readonly reason: string;
}

/** Something that is wanted and would not be done. */
export interface PlanRefusalView {
  readonly code: string;
  readonly reason: string;
  /** When it is tried again by itself; null when something else has to change first. */
  readonly retryAt: number | null;
}

export interface AppPlanView {
  readonly app: string;
  readonly actions: readonly PlanActionView[];
  readonly refused: readonly PlanRefusalView[];
}

/** What the platform is about to do, and why. An empty plan means that all is as it should be. */
export interface PlanView {
  /** Of the store: what the plan was made from. */
  readonly revision: number;
  readonly at: number;
  /** False when the view may be stale: then nothing is stopped. */
  readonly fresh: boolean;
  /** When time alone will change the plan; null when it will not. */
  readonly wakeAt: number | null;
  readonly apps: readonly AppPlanView[];
  /** What concerns no known app. */
  readonly refused: readonly PlanRefusalView[];
}

/** One field of a release that would differ. Null: it is not said before the code is built. */
export interface FieldChangeView {
  readonly field: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What a push would change. */
export interface PushPlanView {
  readonly app: string;
  /** False: the push would create it. */
  readonly exists: boolean;
  /** Numbers of the release now and of the one that would be made; the latter is null when nothing would differ. */
  readonly release: number | null;
  readonly nextRelease: number | null;
  readonly changes: readonly FieldChangeView[];
  /** Names only: values may be secret. */
  readonly env: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly string[];
  };
  readonly domains: readonly string[];
  /** What would make the push fail, each as one sentence. */
  readonly problems: readonly string[];
  /** The platform's first step; later ones follow as instances get ready. */
  readonly plan: AppPlanView;
  readonly wakeAt: number | null;
}

/** One fact, and what it is about: `desired`, `release`, `instance`, `probe`, `route`, `plan`, `crash`, `event` … */
export interface FactView {
  readonly about: string;
  readonly text: string;
  /** When it came about; null when that is not known or it is so now. */
  readonly at: number | null;
}

/** Why an app or an instance is as it is: facts from what is wanted to what was seen last, and what to do. */
export interface ExplainView {
  readonly app: string;
  /** Null when the whole app is explained. */
  readonly instance: string | null;
  /** The app's state in one word, or the instance's phase. */
  readonly state: string;
  readonly summary: string;
  readonly facts: readonly FactView[];
  /** What to do next, each as one sentence. Empty when all is as it should be. */
  readonly next: readonly string[];
}
