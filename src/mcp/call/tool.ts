import * as v from "valibot";
import type { Workbench } from "../workbench.ts";
import { inputSchema, type ToldElsewhere } from "./input-schema.ts";
import type { Outcome } from "./outcome.ts";
import { ToolError } from "./tool-failure.ts";

/** What a tool is handed beside its input. */
export interface ToolCall {
  readonly bench: Workbench;
  /** Aborted when the client cancels the call, or goes. */
  readonly signal: AbortSignal;
  /** Tells the client how it goes on, if it asked to be told. Steps count themselves. */
  progress(message: string): void;
}

/** What a tool does to the world, for clients that ask before they call. */
export type Effect = "reads" | "changes" | "destroys";

/** A tool of the server. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly effect: Effect;
  /** JSON Schema of its input, as clients are told. @param others names of the tools that they are told of as well; by default all */
  inputSchema(others?: readonly string[]): Record<string, unknown>;
  /** @throws ToolError for input that is none, and whatever the work throws */
  run(input: unknown, call: ToolCall): Promise<Outcome>;
}

export interface ToolSpec<Input extends v.ObjectEntries> {
  readonly name: string;
  readonly description: string;
  readonly effect: Effect;
  readonly input: Input;
  /** Fields whose schema another tool has. */
  readonly elsewhere?: ToldElsewhere;
  readonly run: (
    input: v.InferOutput<v.StrictObjectSchema<Input, undefined>>,
    call: ToolCall,
  ) => Promise<Outcome>;
}

/** Declares a tool: its input is checked before it runs, and a key that it does not know is refused. */
export function tool<const Input extends v.ObjectEntries>(spec: ToolSpec<Input>): Tool {
  const schema = v.strictObject(spec.input);
  const { name, description, effect, input, elsewhere = null } = spec;
  return {
    name,
    description,
    effect,
    inputSchema: (others) =>
      inputSchema(input, elsewhere === null || others?.includes(elsewhere.tool) === false ? null : elsewhere),
    run: async (given, call) => await spec.run(checked(name, schema, given), call),
  };
}

function checked<Schema extends v.GenericSchema>(
  name: string,
  schema: Schema,
  input: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, input ?? {});
  if (result.success) return result.output;
  const issues = result.issues.map((issue) => {
    const path = v.getDotPath(issue);
    return path === null ? issue.message : `${path}: ${issue.message}`;
  });
  throw new ToolError(
    "invalid_input",
    `${name} cannot be called like this: ${issues.join("; ")}`,
    "Correct the arguments.",
  );
}
