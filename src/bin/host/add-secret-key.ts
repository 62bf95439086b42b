export { addSecretKey } from "@dinp/core/system";
