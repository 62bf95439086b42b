export { findTomcat, tomcatProgram } from "./find-tomcat.js";
