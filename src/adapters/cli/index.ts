export { createCli, type Cli } from "./cli.js";
export type {
  CliOptions,
  LayerCompression,
  LogLevel,
  MadeBase,
  AddSecretKey,
  MakeBase,
  PackDirectory,
  PackedDirectory,
  RuntimeKind,
  SignalSource,
  UpOptions,
  UpBuilderOptions,
  UpRegistryOptions,
} from "./context.js";
export {
  credentialsPath,
  defaultApiUrl,
  loadCredentials,
  resolveApi,
  saveCredentials,
  type Credentials,
  type ResolvedApi,
} from "./credentials.js";
export { exitCodes } from "./exit-codes.js";
export { defaultDataFolder, makeFolder } from "./folders.js";
export type { InputStream } from "./input.js";
export type { HostPort, PortRange } from "./parse.js";
export type { Environment, TerminalStream } from "./terminal.js";
