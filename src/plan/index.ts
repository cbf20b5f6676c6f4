/** What a sandbox's machine is going to be, found out by its supervisor and ahead of it: start with `look.ts`. */
export { guestTscKhz, lookAround, type Subject, type Surroundings } from "./look.ts";
export { machineSpec, mountMessage } from "./machine-spec.ts";
export type { PreparedRoot } from "./root.ts";
export { clockFits, templateKeys, type TemplateKeys } from "./template-key.ts";
export { copyTemplateUpper } from "./template-upper.ts";
export { planHeadStart, type HeadStart } from "./head-start.ts";
