#!/usr/bin/env node
import { runStaticFileServer } from "@dinp/core/static-files";

await runStaticFileServer(process.argv.slice(2), process.env);
