export { packageVersion } from "../host/package-files.ts";
