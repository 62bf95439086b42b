export { createInProcessControlLink } from "./control-link.js";
