/** Where the libraries that pip installs lie in an app. */
export const pipFolder = ".pip";

/** At an app's root: the libraries that are to be installed when it is built. */
export const pipRequirements = "pip_requirements.txt";

/** For the app: Python takes it from the folder that the app is started in. */
export const pipEnv: Readonly<Record<string, string>> = Object.freeze({ PYTHONPATH: pipFolder });

/**
 * Unpacks the app's layer from standard input, installs what it requires, and writes what was installed to standard
 * output, as a tar. All else goes to standard error. Run in a folder of its own; it is a constant, and takes no text of a user's.
 */
const program = `
import os, subprocess, sys, tarfile
work = os.getcwd()
app, out = os.path.join(work, "app"), os.path.join(work, "out")
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as tar:
    tar.extractall(work)
os.mkdir(out)
words = ["install", "--target", out, "--requirement", "${pipRequirements}", "--no-compile", "--no-cache-dir", "--no-input"]
words += ["--disable-pip-version-check", "--no-color", "--progress-bar", "off", "--no-warn-script-location"]
done = subprocess.run([sys.executable, "-m", "pip"] + words, cwd=app, stdin=subprocess.DEVNULL, stdout=2)
if done.returncode != 0:
    sys.exit(1 if done.returncode < 0 else done.returncode)
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
    for name in sorted(os.listdir(out)):
        tar.add(os.path.join(out, name), name)
`.trim();

export const pipCommand: readonly string[] = Object.freeze(["python3", "-u", "-c", program]);

/** Where pip finds packages; null: only what the app brings along. One that is named by `http:` is meant to be. */
export function pipEnvironment(indexUrl: string | null): Readonly<Record<string, string>> {
  const always = { PIP_CONFIG_FILE: "/dev/null" };
  if (indexUrl === null) return { ...always, PIP_NO_INDEX: "1" };
  const { protocol, host } = new URL(indexUrl);
  return {
    ...always,
    PIP_INDEX_URL: indexUrl,
    ...(protocol === "http:" ? { PIP_TRUSTED_HOST: host } : {}),
  };
}
