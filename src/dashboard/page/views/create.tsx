import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Progress } from "../../wire.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Check, Field, Lines } from "../parts/field.tsx";
import { formText } from "../parts/form-text.ts";
import { bytes } from "../parts/format.ts";
import { useCall } from "../parts/loaded.tsx";
import { call, CallError, tell } from "../state/call.ts";
import { watch } from "../state/live.ts";
import { go } from "../state/route.ts";

/** Asks what a new sandbox is to be. */
export function Create({ onClose }: { readonly onClose: () => void }): VNode {
  const images = useCall("images.list", {});
  const [progress, setProgress] = useState<Progress | null>(null);
  const known = ["localhost/base", ...(images.value ?? []).map(({ reference }) => reference)];
  return (
    <Dialog
      title="New sandbox"
      action="Create"
      onClose={onClose}
      onAction={async (form) => {
        const name = formText(form, "name");
        const id = crypto.randomUUID();
        const end = watch("progress", { id }, { begin: () => undefined, news: setProgress });
        const creation = call("sandbox.create", {
          name,
          image: formText(form, "image"),
          cpus: number(form, "cpus"),
          memoryMib: number(form, "memory"),
          env: Object.fromEntries(lines(form, "env").map(pair)),
          ports: lines(form, "ports").map(port),
          network: form.get("network") !== null,
          progress: id,
        });
        const { notices } = await creation.finally(() => {
          end();
          setProgress(null);
        });
        tell(`${name} runs`, notices);
        go("sandbox", name);
      }}
    >
      <Field label="Name" name="name" required hint="Letters, digits, “.”, “_” and “-”" />
      <Field
        label="Image"
        name="image"
        value="localhost/base"
        required
        choices={known}
        hint="One that is not here is pulled, which may take a while"
      />
      <div class="pair">
        <Field label="Processors" name="cpus" type="number" min={1} max={255} value="1" />
        <Field label="Memory, MiB" name="memory" type="number" min={101} value="512" />
      </div>
      <Lines label="Environment" name="env" hint="A line for each variable: NAME=value" />
      <Lines
        label="Ports"
        name="ports"
        hint="A line for each: 8080:80 is port 8080 of this computer, 80 of the guest"
      />
      <Check name="network" checked>
        With a network
      </Check>
      {progress !== null && <Going progress={progress} />}
    </Dialog>
  );
}

/** How the creation goes on. What counts up is not read out each time. */
function Going({ progress: { text, done, total, unit } }: { readonly progress: Progress }): VNode {
  const counted = (value: number): string => (unit === "bytes" ? bytes(value) : String(value));
  return (
    <div class="progress">
      <span role="status">{text}</span>{" "}
      {done !== null && (
        <span class="muted">
          {counted(done)}
          {total === null ? "" : ` of ${counted(total)}`}
          {unit === "layers" ? " layers" : ""}
        </span>
      )}
      <progress aria-label={text} {...(done === null || total === null ? {} : { value: done, max: total })} />
    </div>
  );
}

function number(form: FormData, name: string): number | null {
  const value = formText(form, name);
  return value === "" ? null : Number(value);
}

function lines(form: FormData, name: string): readonly string[] {
  return formText(form, name)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function pair(line: string): readonly [string, string] {
  const at = line.indexOf("=");
  if (at <= 0) throw wrong(`“${line}” is no variable`, "Write NAME=value.");
  return [line.slice(0, at), line.slice(at + 1)];
}

function port(line: string): { readonly hostPort: number; readonly guestPort: number } {
  const [, host, guest] = /^(\d{1,5}):(\d{1,5})$/.exec(line) ?? [];
  if (host === undefined || guest === undefined)
    throw wrong(`“${line}” is no port`, "Write HOST:GUEST, such as 8080:80.");
  return { hostPort: Number(host), guestPort: Number(guest) };
}

function wrong(message: string, hint: string): CallError {
  return new CallError({ code: "form", message, hint });
}
