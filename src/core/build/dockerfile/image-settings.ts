/** What an image says of how its programs run, in the words of image-spec 1.1, config.md. */
export interface ImageSettings {
  /** In their order. */
  readonly env: ReadonlyMap<string, string>;
  readonly user: string;
  /** Absolute. */
  readonly workingDir: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** `80/tcp` */
  readonly exposedPorts: ReadonlySet<string>;
  readonly volumes: ReadonlySet<string>;
  readonly stopSignal: string;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of an image that says nothing. */
export const noSettings: ImageSettings = Object.freeze({
  env: new Map([["PATH", DEFAULT_PATH]]),
  user: "",
  workingDir: "/",
  entrypoint: [],
  cmd: [],
  labels: new Map<string, string>(),
  exposedPorts: new Set<string>(),
  volumes: new Set<string>(),
  stopSignal: "",
});

/** The settings in an image's configuration: the `config` of its JSON. */
export function settingsOf(config: Readonly<Record<string, unknown>>): ImageSettings {
  const text = (key: string): string => (typeof config[key] === "string" ? config[key] : "");
  const env = new Map(noSettings.env);
  for (const line of texts(config["Env"])) {
    const at = line.indexOf("=");
    if (at > 0) env.set(line.slice(0, at), line.slice(at + 1));
  }
  const labels = Object.entries(objectOf(config["Labels"]));
  return {
    env,
    user: text("User"),
    workingDir: text("WorkingDir") === "" ? "/" : text("WorkingDir"),
    entrypoint: texts(config["Entrypoint"]),
    cmd: texts(config["Cmd"]),
    labels: new Map(labels.filter((entry): entry is [string, string] => typeof entry[1] === "string")),
    exposedPorts: new Set(Object.keys(objectOf(config["ExposedPorts"]))),
    volumes: new Set(Object.keys(objectOf(config["Volumes"]))),
    stopSignal: text("StopSignal"),
  };
}

/** The `config` of an image's configuration. */
export function configOf(settings: ImageSettings): object {
  const { env, user, workingDir, entrypoint, cmd, labels, exposedPorts, volumes, stopSignal } = settings;
  return {
    ...(user === "" ? {} : { User: user }),
    Env: [...env].map(([name, value]) => `${name}=${value}`),
    ...(entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
    ...(cmd.length === 0 ? {} : { Cmd: cmd }),
    WorkingDir: workingDir,
    ...(exposedPorts.size === 0 ? {} : { ExposedPorts: keysOf(exposedPorts) }),
    ...(volumes.size === 0 ? {} : { Volumes: keysOf(volumes) }),
    ...(stopSignal === "" ? {} : { StopSignal: stopSignal }),
    ...(labels.size === 0 ? {} : { Labels: Object.fromEntries(labels) }),
  };
}

function keysOf(names: ReadonlySet<string>): object {
  return Object.fromEntries([...names].map((name) => [name, {}]));
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function objectOf(value: unknown): object {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
