import {
  type BaseSource,
  type Caller,
  createBaseSource,
  isDinpError,
  type Logger,
  type Platform,
  type StateStore,
} from "@dinp/core";
import { hostBases } from "../host/host-bases.js";

const platformItself: Caller = { tokenId: "platform", subject: "platform", role: "admin" };

export interface BasesOnDemandOptions {
  readonly store: StateStore;
  /** Asked when a base is to be registered. */
  readonly platform: () => Platform;
  /** The program that serves static sites: one file without imports. */
  readonly staticServer: string;
  readonly logger: Logger;
}

/**
 * The registered base images; one that a template asks for and nobody has registered is made of this machine's programs, the
 * first time that a build needs it, and registered. Where this machine lacks the programs there is none.
 */
export function createBasesOnDemand({
  store,
  platform,
  staticServer,
  logger,
}: BasesOnDemandOptions): BaseSource {
  const registered = createBaseSource(store);
  const { names, make } = hostBases(staticServer, process.env);
  const making = new Map<string, Promise<void>>();

  const makeBase = async (name: string): Promise<void> => {
    try {
      const { tar, files, bytes } = await make(name, {});
      await platform().addBase(name, { bytes: tar }, { caller: platformItself });
      logger.info("made a base image of this machine's programs", { base: name, files, bytes });
    } catch (error) {
      if (!isDinpError(error, "DINP_PROGRAM_MISSING")) throw error;
      logger.warn("no base image can be made of this machine's programs", {
        base: name,
        error: error.message,
      });
    }
  };

  return {
    names: (options) => registered.names(options),
    async find(name, options = {}) {
      const found = await registered.find(name, options);
      if (found !== null || !names.includes(name)) return found;
      const made = making.get(name) ?? makeBase(name).finally(() => making.delete(name));
      making.set(name, made);
      await made;
      return await registered.find(name, options);
    },
  };
}
