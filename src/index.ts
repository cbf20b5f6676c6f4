import "./require-node.ts";
export * from "./api/index.ts";
