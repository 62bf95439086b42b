export { createStaticFileHandler, type StaticFileHandlerOptions } from "./handler.js";
export { runStaticFileServer, serveStaticFiles, type StaticFileServer } from "./server.js";
