import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, SandboxRow } from "../../wire.ts";
import { Problem } from "../parts/dialog.tsx";
import { NeedsRunning } from "../parts/needs-running.tsx";
import { openSocket } from "../state/live.ts";

/** The sandbox's shell. */
export function TerminalView({ row }: { readonly row: SandboxRow }): VNode {
  const [turn, setTurn] = useState(0);
  const [isOver, setOver] = useState<{ readonly failure: Failure | null } | null>(null);
  const [forReader, setForReader] = useState(false);
  const leave = useRef<HTMLButtonElement>(null);
  const isRunning = row.status === "running";
  const [hasBegun, setBegun] = useState(isRunning);
  useEffect(() => {
    if (isRunning) setBegun(true);
  }, [isRunning]);
  // The screen of one that has died stays to be read.
  if (!hasBegun) return <NeedsRunning what="A terminal" />;
  return (
    <section aria-label="Terminal">
      <div class="row">
        <button
          ref={leave}
          type="button"
          disabled={!isRunning}
          onClick={() => {
            setOver(null);
            setTurn(turn + 1);
          }}
        >
          New shell
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={forReader}
            onChange={(event) => setForReader(event.currentTarget.checked)}
          />{" "}
          For screen readers
        </label>
        <span class="muted">Shift+Escape leaves the terminal.</span>
      </div>
      {isOver !== null &&
        (isOver.failure === null ? (
          <p class="muted" role="status">
            The shell has ended.
          </p>
        ) : (
          <Problem failure={isOver.failure} />
        ))}
      <Shell
        key={turn}
        sandbox={row.name}
        forReader={forReader}
        onLeave={() => leave.current?.focus()}
        onEnd={(failure) => setOver({ failure })}
      />
    </section>
  );
}

interface ShellProps {
  readonly sandbox: string;
  readonly forReader: boolean;
  readonly onLeave: () => void;
  readonly onEnd: (failure: Failure | null) => void;
}

/** The end of a shell, as the server tells it. */
type Last = { readonly code: number | null } | { readonly error: Failure };

function Shell({ sandbox, forReader, onLeave, onEnd }: ShellProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const made = useRef<Terminal | null>(null);
  useEffect(() => {
    if (made.current !== null) made.current.options.screenReaderMode = forReader;
  }, [forReader]);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    giveNonce();
    const terminal = new Terminal({
      fontSize: 13,
      fontFamily: "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
      screenReaderMode: forReader,
      // Where a guest's links lead is the guest's choice.
      linkHandler: { activate: () => undefined },
      theme: { background: "#11131a", foreground: "#e6e8ef", cursor: "#a5b4fc" },
    });
    made.current = terminal;
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(element);
    fit.fit();
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown" || event.key !== "Escape" || !event.shiftKey) return true;
      onLeave();
      return false;
    });
    const socket = openSocket("/terminal");
    socket.binaryType = "arraybuffer";
    let last: Last | null = null;
    const encoder = new TextEncoder();
    const send = (data: string | Uint8Array<ArrayBuffer>): void => {
      if (socket.readyState === WebSocket.OPEN) socket.send(data);
    };
    const sendTyped = (bytes: Uint8Array<ArrayBuffer>): void => {
      for (let at = 0; at < bytes.length; at += longestPiece) send(bytes.subarray(at, at + longestPiece));
    };
    socket.onopen = () => {
      send(JSON.stringify({ sandbox, rows: terminal.rows, cols: terminal.cols }));
      terminal.focus();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") last = JSON.parse(data) as Last;
      else terminal.write(new Uint8Array(data as ArrayBuffer));
    };
    socket.onclose = () => {
      terminal.options.cursorBlink = false;
      terminal.options.disableStdin = true;
      if (element.isConnected) onEnd(last !== null ? ("error" in last ? last.error : null) : lost);
    };
    terminal.onData((text) => sendTyped(encoder.encode(text)));
    terminal.onBinary((text) => sendTyped(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    terminal.onResize(({ rows, cols }) => send(JSON.stringify({ rows, cols })));
    const resized = new ResizeObserver(() => fit.fit());
    resized.observe(element);
    return () => {
      resized.disconnect();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
      made.current = null;
    };
  }, []);
  return <div ref={place} class="shell" />;
}

/** What is pasted may be longer than a message may be, bytes. */
const longestPiece = 1 << 16;

const lost: Failure = { code: "lost", message: "the connection to the terminal has ended", hint: "" };

/**
 * The terminal writes style sheets of its own, for which the page's policy wants the nonce. It has no setting for one: from now on every new
 * style sheet of the page has it.
 */
function giveNonce(): void {
  if (hasNonce) return;
  hasNonce = true;
  const nonce = document.querySelector<HTMLElement>("[data-nonce]")?.dataset["nonce"] ?? "";
  const make = Reflect.get(document, "createElement") as (...given: unknown[]) => unknown;
  const makeWithNonce = (...given: unknown[]): unknown => {
    const made = Reflect.apply(make, document, given);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  };
  Reflect.set(document, "createElement", makeWithNonce);
}

let hasNonce = false;
