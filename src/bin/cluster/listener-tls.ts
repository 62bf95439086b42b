import { createSecureContext } from "node:tls";
import { DinpError, messageOf } from "@dinp/core";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";

/**
 * The certificate that a program's section of the configuration names; null: no TLS is spoken. {@link ConfigError},
 * `DINP_INVALID`.
 */
export async function listenerTls(
  section: string,
  { certFile, keyFile }: { readonly certFile: string | null; readonly keyFile: string | null },
): Promise<{ readonly cert: string; readonly key: string } | null> {
  if (certFile === null && keyFile === null) return null;
  if (certFile === null || keyFile === null) {
    const [given, missing] = certFile === null ? ["keyFile", "certFile"] : ["certFile", "keyFile"];
    throw new ConfigError([
      `${section}.${given} is given, but ${section}.${missing} is not: give both or neither`,
    ]);
  }
  const tls = {
    cert: await readPem(`${section}.certFile`, certFile),
    key: await readPem(`${section}.keyFile`, keyFile),
  };
  try {
    createSecureContext(tls);
    return tls;
  } catch (error) {
    throw new DinpError(
      "DINP_INVALID",
      `${section}.certFile ${certFile} and ${section}.keyFile ${keyFile} cannot be used together: ${messageOf(error)}.`,
      { cause: error },
    );
  }
}
