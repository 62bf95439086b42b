export { createHttpApi, type HttpApi, type HttpApiOptions } from "./http-api.js";
