import * as v from "valibot";
import type { Form } from "./setting.ts";

/** How a value of a simple form is written in JSON, in the record and in `config.json`. Its range is not part of it. */
export function schemaOf(form: Form): v.GenericSchema {
  switch (form.kind) {
    case "whole":
    case "mebibytes":
    case "seconds":
    case "milliseconds":
      return v.number();
    case "text":
      return v.string();
    case "choice":
      return v.picklist(form.words);
    case "flag":
      return v.boolean();
    case "words":
      return v.array(v.string());
    case "structure":
      throw new Error("a setting of this form has a schema of its own");
  }
}

/** The same with the range, as users write it into `config.json`. */
export function rangedSchemaOf(form: Form): v.GenericSchema {
  switch (form.kind) {
    case "whole":
      return v.pipe(v.number(), v.integer(), v.minValue(form.minimum), v.maxValue(form.maximum));
    case "mebibytes":
      return v.pipe(v.number(), v.integer(), v.minValue(1));
    case "seconds":
      return v.pipe(
        v.number(),
        v.check((value) => Number.isFinite(value) && value > 0, "must be above 0"),
      );
    case "milliseconds":
      return v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(form.maximum));
    case "text":
    case "choice":
    case "flag":
    case "words":
    case "structure":
      return schemaOf(form);
  }
}
