// engine-service.mjs start|stop FOLDER: a Docker engine in the network that this process is in.
import process from "node:process";
import { dockerService } from "../../../scripts/lib/services/docker.mjs";

const [command, folder] = process.argv.slice(2);
if (folder === undefined || (command !== "start" && command !== "stop"))
  throw new TypeError("start|stop FOLDER");
await dockerService[command](folder);
