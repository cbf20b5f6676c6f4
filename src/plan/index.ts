/** What a sandbox's machine is going to be, found out by its supervisor and ahead of it: start with `look.ts`. */
export { guestTscKhz, lookAround, type Subject, type Surroundings } from "./look.ts";
export { clockMessage, introduction, mountMessage, seedMessage } from "./introduction.ts";
export { machineSpec } from "./machine-spec.ts";
export type { PreparedRoot } from "./root.ts";
export { clockFits, templateKeys, type TemplateKeys } from "./template-key.ts";
export { copyTemplateUpper } from "./template-upper.ts";
export { originOf, planHeadStart } from "./head-start.ts";
export type { HeadStart, TemplateOrigin } from "./head-start-format.ts";
