import { DinpError, messageOf } from "@dinp/core";

/** The path of an entry as messages show it. */
export function shown(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}

/** `DINP_ARCHIVE_REFUSED` with a sentence (without its full stop) and the entry that it is about. */
export function refusal(sentence: string, entry: string | null, hint?: string): DinpError {
  return new DinpError("DINP_ARCHIVE_REFUSED", `${sentence}.`, {
    details: { entry: entry?.slice(0, 1_000) ?? null },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What reading a zip failed with, in this program's words; `near` is the last entry that was read. */
export function damaged(error: unknown, near: string | null): DinpError {
  if (error instanceof DinpError) return error;
  const message = messageOf(error);
  if (error instanceof Error && "syscall" in error) {
    return new DinpError("DINP_UNAVAILABLE", `The upload could not be read back from disk: ${message}.`, {
      cause: error,
      retryable: true,
      hint: "Push again; look at the disk of the platform if that fails as well.",
    });
  }
  const place = near === null ? "at its first entry" : `in or after ${shown(near)}`;
  const again = "Make the archive again and send it whole.";
  const make = (sentence: string, hint = again): DinpError =>
    new DinpError("DINP_ARCHIVE_REFUSED", `${sentence}.`, { cause: error, hint, details: { entry: near } });
  if (/signature not found/.test(message))
    return make("The archive is no zip, or is truncated: it has no directory");
  if (/comment length/.test(message)) return make("The archive has bytes behind its end");
  if (/multi-disk/.test(message)) {
    return make("The archive is a part of one that was split", "Make it in one piece.");
  }
  if (/strong encryption/.test(message)) {
    return make(`The archive is encrypted ${place}`, "Make it again without a password.");
  }
  if (/EOF|overflows file bounds/.test(message)) return make(`The archive is truncated ${place}`);
  return make(`The archive is damaged ${place}: ${message.slice(0, 200)}`);
}
