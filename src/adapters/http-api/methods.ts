import { DinpError } from "@dinp/core";

/** The path is one of the API's, the method not one of the path's. Answered with status 405 (RFC 9110 section 15.5.6). */
export class MethodNotAllowedError extends DinpError {
  constructor(method: string, allowed: readonly string[]) {
    super("DINP_INVALID", `${method.slice(0, 20)} is not a method of this path.`, {
      hint: `It takes ${allowed.join(", ")}.`,
      details: { field: "method" },
    });
  }
}

/** The methods that a path takes, for the field `Allow`; none when there is no such path. */
export function methodsOf(
  routes: readonly { readonly method: string; readonly path: string }[],
  path: string,
): readonly string[] {
  const methods = new Set<string>();
  for (const route of routes) {
    if (route.method === "ALL" || !isAt(route.path, path)) continue;
    methods.add(route.method);
    if (route.method === "GET") methods.add("HEAD");
  }
  return [...methods].sort();
}

/** Whether a path is one of a route's, in which `:name` stands for any one part. */
function isAt(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return false;
  return wanted.every((part, index) => (part.startsWith(":") ? given[index] !== "" : part === given[index]));
}
