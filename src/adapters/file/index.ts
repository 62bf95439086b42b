export { createFileRouteCache, type FileRouteCacheOptions } from "./file-route-cache.js";
export { createFileRouteTable, type FileRouteTable, type FileRouteTableOptions } from "./file-route-table.js";
export { readRouteFile } from "./read-table.js";
