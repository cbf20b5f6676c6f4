import { UsageError } from "../output/usage-error.ts";

/** One side of `msb cp`. */
export type CopyOperand =
  | { readonly kind: "host"; readonly path: string }
  | { readonly kind: "sandbox"; readonly sandbox: string; readonly path: string }
  | { readonly kind: "archive" };

const allowed = "A side is NAME:/path in a sandbox, a path of this computer, or - for a tar archive";

/**
 * One side of `msb cp`, as `docker cp` reads it: `-` is a tar archive on stdin or stdout; what begins with `/` or `.` is a path of
 * this computer; `NAME:/path` is one in a sandbox; everything else is a path of this computer.
 *
 * @throws UsageError
 */
export function parseCopyOperand(text: string): CopyOperand {
  if (text === "") throw new UsageError("a path is expected, not nothing.", allowed);
  if (text.includes("\0")) throw new UsageError("a path has no zero byte in it.", allowed);
  if (text === "-") return { kind: "archive" };
  const colon = text.indexOf(":");
  if (colon < 0 || text.startsWith("/") || text.startsWith(".")) return { kind: "host", path: text };
  const sandbox = text.slice(0, colon);
  const path = text.slice(colon + 1);
  if (sandbox === "")
    throw new UsageError(`"${text}" names no sandbox.`, `${allowed}; ./${text} is a file here`);
  if (!path.startsWith("/")) {
    throw new UsageError(
      `"${text}" has no absolute path.`,
      `Write ${sandbox}:/${path} for one in the sandbox ${sandbox}, ./${text} for a file here`,
    );
  }
  return { kind: "sandbox", sandbox, path };
}

/** What is copied, and where to. */
export interface CopyOperands {
  readonly source: CopyOperand;
  readonly destination: CopyOperand;
}

/**
 * Both sides of `msb cp`.
 *
 * @throws UsageError, also when no side is in a sandbox
 */
export function parseCopyOperands(source: string, destination: string): CopyOperands {
  const operands = { source: parseCopyOperand(source), destination: parseCopyOperand(destination) };
  if (operands.source.kind !== "sandbox" && operands.destination.kind !== "sandbox") {
    throw new UsageError("one side is to be in a sandbox.", `${allowed}; or use cp`);
  }
  return operands;
}
