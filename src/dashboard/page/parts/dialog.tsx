import type { ComponentChildren, VNode } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Failure } from "../../wire.ts";
import { failureOf } from "../state/call.ts";

export interface DialogProps {
  readonly title: string;
  /** What its button says that does it. */
  readonly action: string;
  readonly isDangerous?: boolean;
  /** Does it; what it throws is shown, and the dialog stays. */
  readonly onAction: (form: FormData) => Promise<unknown>;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

/** A question before something is done. The browser keeps the focus in it, closes it by Escape and gives the focus back. */
export function Dialog({ title, action, isDangerous, onAction, onClose, children }: DialogProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  // Together with the element: an Escape that follows at once is meant for it.
  useLayoutEffect(() => {
    dialog.current?.showModal();
  }, []);
  const isOver = useRef(false);
  // The browser's own event of it comes later, when the same question may have been asked again.
  const close = (): void => {
    if (isOver.current) return;
    isOver.current = true;
    dialog.current?.close();
    onClose();
  };
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await onAction(new FormData(event.currentTarget as HTMLFormElement));
      close();
    } catch (error) {
      setFailure(failureOf(error));
      setBusy(false);
    }
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClose={close}
    >
      <form onSubmit={(event) => void submit(event)}>
        <h2 id={heading}>{title}</h2>
        {children}
        {failure !== null && <Problem failure={failure} />}
        <div class="buttons end">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={isDangerous === true ? "danger" : "primary"} disabled={isBusy}>
            {isBusy ? "Working…" : action}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** What went wrong, and what to do about it. */
export function Problem({ failure }: { readonly failure: Failure }): VNode {
  return (
    <div class="problem" role="alert">
      <p>{failure.message}</p>
      {failure.hint !== "" && <p class="hint">{failure.hint}</p>}
    </div>
  );
}
