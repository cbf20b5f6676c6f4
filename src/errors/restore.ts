import type { ErrorOptionsWithHint, MicrosandboxError } from "./base.ts";
import * as classes from "./classes.ts";
import { errorTable, type ErrorDetails, type MicrosandboxErrorCode } from "./table.ts";

type Constructor<Rest extends unknown[]> = new (message: string, ...rest: Rest) => MicrosandboxError;

/** What the class of each code is made with: its fields, where it has some. */
type Constructors = {
  readonly [C in MicrosandboxErrorCode]: keyof ErrorDetails<C> extends never
    ? Constructor<[options: ErrorOptionsWithHint]>
    : Constructor<[details: ErrorDetails<C>, options: ErrorOptionsWithHint]>;
};

type Fitting<T extends Constructors> = T;

/** The classes by code. That each takes the fields which the table gives it is checked here, by its type. */
type ClassesByCode = Fitting<{
  readonly [C in MicrosandboxErrorCode]: (typeof classes)[(typeof errorTable)[C]["class"]];
}>;

/**
 * An error of the class that belongs to a code.
 *
 * @param details has every field of the table's entry, of its kind
 */
export function makeError(
  code: MicrosandboxErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>>,
  options: ErrorOptionsWithHint,
): MicrosandboxError {
  const chosen: ClassesByCode[MicrosandboxErrorCode] = classes[errorTable[code].class];
  const constructor = chosen as Constructor<unknown[]>;
  return Object.keys(errorTable[code].details).length === 0
    ? new constructor(message, options)
    : new constructor(message, details, options);
}
