import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { launchScript } from "./launch-script.js";

/** Where Debian's packages put Tomcat, newest first. */
const USUAL_HOMES: readonly string[] = ["/usr/share/tomcat11", "/usr/share/tomcat10", "/usr/share/tomcat9"];

/**
 * The folder of an Apache Tomcat (9 to 11) on this machine: `$CATALINA_HOME`, else where Debian's packages put it; null
 * when there is none. Tomcat 9 runs applications of `javax.servlet`, newer ones those of `jakarta.servlet`.
 */
export async function findTomcat(
  env: Readonly<Record<string, string | undefined>>,
  usualHomes: readonly string[] = USUAL_HOMES,
): Promise<string | null> {
  const named = env["CATALINA_HOME"] ?? "";
  for (const home of named === "" ? usualHomes : [named]) {
    const isThere = await access(join(home, "bin", "bootstrap.jar"), constants.R_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return home;
  }
  return null;
}

/**
 * The program that runs the folder of an unpacked `.war`, its one argument, on the Tomcat in `home`: an argument vector
 * to which that folder is added. It needs `java` on the `PATH`.
 */
export function tomcatProgram(home: string): readonly string[] {
  // Behind a name, for a word that is an absolute path is taken for a file of the program.
  return ["/bin/sh", "-c", launchScript, "dinp-tomcat", `home=${home}`];
}
