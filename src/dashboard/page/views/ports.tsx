import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { NetworkView, PortRow } from "../../wire.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { call, complain, tell } from "../state/call.ts";

interface PortsProps {
  readonly name: string;
  readonly ports: readonly PortRow[];
  readonly onChange: (view: NetworkView) => void;
}

/** Ports of the guest that this computer offers. */
export function Ports({ name, ports, onChange }: PortsProps): VNode {
  const [isAdding, setAdding] = useState(false);
  const unpublish = async (port: PortRow): Promise<void> => {
    try {
      onChange(await call("network.unpublish", { name, ...port }));
      tell(`Port ${String(port.hostPort)} is not offered any more`);
    } catch (error) {
      complain(error);
    }
  };
  return (
    <section aria-labelledby="ports">
      <div class="head">
        <h2 id="ports">Ports</h2>
        <button type="button" onClick={() => setAdding(true)}>
          Publish
        </button>
      </div>
      {ports.length === 0 ? (
        <p class="empty">No port is published.</p>
      ) : (
        <ul class="plain">
          {ports.map((port) => (
            <li key={`${port.hostBind} ${String(port.hostPort)} ${port.protocol}`} class="row">
              <code>
                {port.hostBind}:{String(port.hostPort)} → {String(port.guestPort)}/{port.protocol}
              </code>
              <button
                type="button"
                aria-label={`Stop publishing ${String(port.hostPort)}`}
                onClick={() => void unpublish(port)}
              >
                Stop
              </button>
            </li>
          ))}
        </ul>
      )}
      {isAdding && (
        <Dialog
          title="Publish a port"
          action="Publish"
          onClose={() => setAdding(false)}
          onAction={async (form) => {
            const [hostPort, guestPort] = ["host", "guest"].map((key) => Number(form.get(key)));
            onChange(
              await call("network.publish", { name, hostPort: hostPort ?? 0, guestPort: guestPort ?? 0 }),
            );
            tell("The port is published on 127.0.0.1");
          }}
        >
          <div class="pair">
            <Field label="Port of the guest" name="guest" type="number" min={1} max={65535} required />
            <Field
              label="Port of this computer"
              name="host"
              type="number"
              min={0}
              max={65535}
              value="0"
              hint="0: any that is free"
            />
          </div>
        </Dialog>
      )}
    </section>
  );
}
