import type { VNode } from "preact";
import type { SandboxRow } from "../../wire.ts";
import { useCall, Waiting } from "../parts/loaded.tsx";

/** How a sandbox was asked to be. */
export function Settings({ row }: { readonly row: SandboxRow }): VNode {
  const view = useCall("sandbox.get", { name: row.name });
  if (view.value === null) return <Waiting of={view} />;
  const config = JSON.parse(view.value.config) as Readonly<Record<string, unknown>>;
  return (
    <>
      <p class="muted">
        How it was created, every default filled in. What can be changed later is changed with{" "}
        <code>msb modify</code> and under Network.
      </p>
      <dl class="facts">
        {Object.entries(config).map(([key, value]) => (
          <>
            <dt key={key}>{words(key)}</dt>
            <dd>
              <Value value={value} />
            </dd>
          </>
        ))}
      </dl>
    </>
  );
}

function Value({ value }: { readonly value: unknown }): VNode {
  if (value === null || (Array.isArray(value) && value.length === 0)) return <span class="muted">–</span>;
  if (typeof value === "object")
    return Object.keys(value).length === 0 ? (
      <span class="muted">–</span>
    ) : (
      <pre>{JSON.stringify(value, null, 2)}</pre>
    );
  if (typeof value === "boolean") return <>{value ? "yes" : "no"}</>;
  return <>{typeof value === "string" ? value : JSON.stringify(value)}</>;
}

/** `maxDurationSecs` → `Max duration secs` */
function words(key: string): string {
  const text = key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
