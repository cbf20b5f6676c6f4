export * from "./base.ts";
export * from "./classes.ts";
export type { MicrosandboxErrorCode } from "./table.ts";
