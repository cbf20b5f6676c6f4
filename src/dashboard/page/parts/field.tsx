import type { ComponentChildren, VNode } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly value?: string;
  readonly type?: "text" | "number";
  readonly hint?: string;
  readonly required?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** Values to choose from; others can be typed. */
  readonly choices?: readonly string[];
}

/** A labelled line of text. */
export function Field({ label, hint, choices, value, type = "text", ...rest }: FieldProps): VNode {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...rest}
        id={id}
        type={type}
        defaultValue={value ?? ""}
        autocomplete="off"
        spellcheck={false}
        list={choices === undefined ? undefined : `${id}-choices`}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      />
      {choices !== undefined && (
        <datalist id={`${id}-choices`}>
          {choices.map((choice) => (
            <option key={choice} value={choice} />
          ))}
        </datalist>
      )}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** Several lines of text. */
export function Lines({ label, name, hint }: Pick<FieldProps, "label" | "name" | "hint">): VNode {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea id={id} name={name} rows={2} spellcheck={false} aria-describedby={`${id}-hint`} />
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    </div>
  );
}

export function Check({
  name,
  checked = false,
  children,
}: {
  readonly name: string;
  readonly checked?: boolean;
  readonly children: ComponentChildren;
}): VNode {
  return (
    <label class="check">
      <input type="checkbox" name={name} defaultChecked={checked} /> {children}
    </label>
  );
}
