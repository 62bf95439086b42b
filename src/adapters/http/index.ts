export { createHttpProber, type HttpProberOptions } from "./http-prober.js";
