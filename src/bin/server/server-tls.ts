import { createSecureContext } from "node:tls";
import { DinpError, messageOf } from "@dinp/core";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";

/** The certificate that API and link are served with; null: they speak no TLS. {@link ConfigError}, `DINP_INVALID`. */
export async function serverTls({
  certFile,
  keyFile,
}: {
  readonly certFile: string | null;
  readonly keyFile: string | null;
}): Promise<{ readonly cert: string; readonly key: string } | null> {
  if (certFile === null && keyFile === null) return null;
  if (certFile === null || keyFile === null) {
    const [given, missing] = certFile === null ? ["keyFile", "certFile"] : ["certFile", "keyFile"];
    throw new ConfigError([`server.${given} is given, but server.${missing} is not: give both or neither`]);
  }
  const tls = {
    cert: await readPem("server.certFile", certFile),
    key: await readPem("server.keyFile", keyFile),
  };
  try {
    createSecureContext(tls);
    return tls;
  } catch (error) {
    throw new DinpError(
      "DINP_INVALID",
      `server.certFile ${certFile} and server.keyFile ${keyFile} cannot be used together: ${messageOf(error)}.`,
      { cause: error },
    );
  }
}
