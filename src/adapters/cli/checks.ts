/** One finding of `dinp doctor`. */
export interface Check {
  readonly name: string;
  readonly result: "ok" | "warn" | "fail";
  readonly text: string;
  /** What to do; null when nothing is to be done. */
  readonly hint: string | null;
}

export function good(name: string, text: string): Check {
  return { name, result: "ok", text, hint: null };
}

export function warn(name: string, text: string, hint: string): Check {
  return { name, result: "warn", text, hint };
}

export function fail(name: string, text: string, hint: string): Check {
  return { name, result: "fail", text, hint };
}
