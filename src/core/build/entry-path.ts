const PATH_BYTES_MAX = 2_048;
const NAME_BYTES_MAX = 255;
const DEPTH_MAX = 256;
/**
 * Names of ASCII letters, digits and a few marks, none beginning with a dot, and short enough: nothing of it is refused. Archives
 * of a folder begin each path with `./`.
 */
const PLAIN = /^(?:\.\/)?(?:[\w@+-][\w@+.-]*\/)*[\w@+-][\w@+.-]*\/?$/;
const PLAIN_LENGTH_MAX = 250;

/** A value, or why there is none. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

function refuse(why: string): { readonly ok: false; readonly why: string } {
  return { ok: false, why };
}

/**
 * The path of an archive's entry relative to the app's folder, without `.`, doubled or trailing slashes; `""` for the
 * folder itself. Refused: absolute paths, any `..`, control characters, names that are not UTF-8, whiteouts (`.wh.`
 * means deletion in an OCI layer, image-spec 1.1, layer.md), and what no file system takes.
 */
export function normalizePath(path: string): Checked<string> {
  // Nearly all paths, and there are thousands of them.
  if (path.length <= PLAIN_LENGTH_MAX && PLAIN.test(path))
    return {
      ok: true,
      value: path.slice(path.startsWith("./") ? 2 : 0, path.endsWith("/") ? -1 : undefined),
    };
  if (path.startsWith("/")) return refuse("its path is absolute");
  const text = checkText(path);
  if (!text.ok) return text;
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) return refuse('its path contains ".."');
  if (names.length > DEPTH_MAX) return refuse(`its path is more than ${String(DEPTH_MAX)} folders deep`);
  for (const name of names) {
    if (name.startsWith(".wh.")) return refuse('names that begin with ".wh." mean deletion in an image');
    if (isLonger(name, NAME_BYTES_MAX))
      return refuse(`a name in its path has more than ${String(NAME_BYTES_MAX)} bytes`);
  }
  return { ok: true, value: names.join("/") };
}

/**
 * The target of a symbolic link at `path` when it stays inside the app's folder whatever else is in there: relative,
 * with `..` only at its beginning and not above the folder. (A `..` behind a name could climb out through another link.)
 */
export function checkLinkTarget(path: string, target: string | null): Checked<string> {
  if (target === null || target === "") return refuse("it is a link without a target");
  if (target.startsWith("/"))
    return refuse(
      `it links to the absolute path ${quote(target)}; only links within the app work everywhere`,
    );
  const text = checkText(target);
  if (!text.ok) return refuse(`its target is refused: ${text.why}`);
  const names = target.split("/").filter((name) => name !== "" && name !== ".");
  const climbs = names.findIndex((name) => name !== "..");
  const ups = climbs === -1 ? names.length : climbs;
  const depth = path.split("/").length - 1;
  if (ups > depth) return refuse(`it links to ${quote(target)}, outside the app`);
  if (names.includes("..", ups)) return refuse(`its target ${quote(target)} has ".." behind a name`);
  return { ok: true, value: target };
}

/** The path as error messages show it. */
export function quote(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}

function checkText(path: string): Checked<null> {
  for (let i = 0; i < path.length; i += 1) {
    const code = path.codePointAt(i) ?? 0;
    if (code > 0xffff) i += 1;
    if (code < 0x20 || code === 0x7f)
      return refuse("it contains a control character (such as a newline or NUL)");
    if (code === 0xfffd || (code >= 0xd800 && code <= 0xdfff)) return refuse("it is not valid UTF-8");
  }
  if (isLonger(path, PATH_BYTES_MAX)) return refuse(`it has more than ${String(PATH_BYTES_MAX)} bytes`);
  return { ok: true, value: null };
}

/** Whether the text has more than so many bytes of UTF-8; at most three for each of its units. */
function isLonger(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;
}
