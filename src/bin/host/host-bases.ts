import { createHostBase, hostBaseNames, type HostBase, type HostBaseName } from "@dinp/core/host-base";
import { createTarArchive } from "@dinp/core/tar";
import { findTomcat, tomcatProgram } from "@dinp/core/tomcat";
import { searchPathOf } from "./search-path.js";

/** Base images of this machine's programs, with those of the platform; `staticServer`: one file without imports. */
export function hostBases(
  staticServer: string,
  env: Readonly<Record<string, string | undefined>>,
): {
  readonly names: readonly string[];
  readonly make: (name: string, options: { readonly signal?: AbortSignal }) => Promise<HostBase>;
} {
  return {
    names: hostBaseNames,
    async make(name, options) {
      if (!isHostBaseName(name)) throw new TypeError(`There is no base ${name}.`);
      const tomcat = await findTomcat(env);
      return await createHostBase({
        name,
        archive: createTarArchive(),
        searchPath: searchPathOf(env["PATH"] ?? ""),
        node: process.execPath,
        platformPrograms: {
          "dinp-static": { command: [process.execPath, staticServer], files: [staticServer] },
          ...(tomcat === null ? {} : { "dinp-tomcat": { command: tomcatProgram(tomcat), files: [tomcat] } }),
        },
        ...options,
      });
    },
  };
}

function isHostBaseName(name: string): name is HostBaseName {
  return hostBaseNames.some((known) => known === name);
}
