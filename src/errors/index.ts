export * from "./base.ts";
export * from "./classes.ts";
