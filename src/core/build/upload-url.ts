import { DinpError } from "../model/errors.js";

const URL_LENGTH_MAX = 4_096;
const SHOWN_LENGTH_MAX = 300;
const FILE_NAME_LENGTH_MAX = 255;
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * The URL of an upload, without its fragment. `DINP_INVALID` for one that is no http(s) URL or has a user or password in
 * it; the message shows nothing that could be secret.
 */
export function parseUploadUrl(text: string): URL {
  if (text.length > URL_LENGTH_MAX)
    throw refused(`The URL is longer than ${String(URL_LENGTH_MAX)} characters.`);
  // URL drops them silently; whoever wrote them meant something else.
  if (/[\p{Cc}\s]/u.test(text)) throw refused("The URL has white space or control characters in it.");
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.hostname === "") throw refused("What was given is no URL.");
  return checkUploadUrl(url);
}

/** {@link parseUploadUrl} of what is a URL already, such as where a redirect leads. */
export function checkUploadUrl(given: URL): URL {
  const url = new URL(given);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refused(`Uploads are fetched by http and https, not by ${url.protocol.slice(0, 40)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refused(
      `The URL has a user or password before ${url.host}, which would be stored and shown.`,
      "Take them out: give a URL that needs none (a signed one), or send the file itself: dinp push FILE.",
    );
  }
  url.hash = "";
  return url;
}

/** A URL for people: without user, query and fragment, which may be secret, and of bounded length. */
export function shownUrl(url: URL): string {
  const text = `${url.protocol}//${url.host}${url.pathname}`;
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX - 1)}…` : text;
}

/** What a URL's path calls the file, such as `shop.war`; undefined when that is no file name. */
export function fileNameInUrl(url: URL): string | undefined {
  const segment = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
  const name = decoded(segment);
  const isName = name !== "" && name !== "." && name !== ".." && name.length <= FILE_NAME_LENGTH_MAX;
  return isName && !name.includes("/") && !UNSAFE.test(name) ? name : undefined;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function refused(
  message: string,
  hint = "Give the http(s) URL of an archive, such as https://example.com/shop.tar.gz.",
): DinpError {
  return new DinpError("DINP_INVALID", message, { hint, details: { field: "url" } });
}
