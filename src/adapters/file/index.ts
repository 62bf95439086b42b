export {
  createFileRouteTable,
  readRouteFile,
  type FileRouteTable,
  type FileRouteTableOptions,
} from "./file-route-table.js";
