import { printable } from "./text.js";

const SECRET_FLAG = /^(--?[A-Za-z0-9-]*(?:password|passwd|secret|token|key|auth)[A-Za-z0-9-]*)(=.*)?$/i;
const SECRET_ASSIGNMENT = /^([A-Za-z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|KEY|AUTH)[A-Za-z0-9_]*=).+$/i;
const USER_INFO = /(:\/\/[^/@\s:]*):[^@/\s]*@/g;
/** Shorter values are too common to tell anything, and to be secret. */
const VALUE_LENGTH_MIN = 4;

/**
 * A command as it may be written down: values of the app's variables as `$NAME`, and what looks like a secret (the value
 * of `--password`, `TOKEN=…`, a URL's password) as `***`. At most 300 characters.
 */
export function commandText(command: readonly string[], env: Readonly<Record<string, string>>): string {
  const values = Object.entries(env)
    .filter(([, value]) => value.length >= VALUE_LENGTH_MIN)
    .sort(([, a], [, b]) => b.length - a.length);
  const shown: string[] = [];
  let isSecret = false;
  for (const word of command) {
    const flag: RegExpExecArray | null = SECRET_FLAG.exec(word);
    if (isSecret) shown.push("***");
    else if (flag !== null) shown.push(flag[2] === undefined ? word : `${flag[1] ?? ""}=***`);
    else {
      let text = word;
      for (const [name, value] of values) text = text.replaceAll(value, `$${name}`);
      shown.push(text.replace(SECRET_ASSIGNMENT, "$1***").replace(USER_INFO, "$1:***@"));
    }
    isSecret = !isSecret && flag !== null && flag[2] === undefined;
  }
  return printable(shown.join(" "), 300);
}
