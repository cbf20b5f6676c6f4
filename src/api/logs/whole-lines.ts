import { findSandbox } from "../../store/sandboxes.ts";
import { locateHome } from "../../store/home.ts";
import { SandboxControl } from "../control/sandbox-control.ts";
import type { LogEntry, LogReadOptions } from "./log-entry.ts";
import { LogStream, type LogStreamOptions } from "./log-stream.ts";
import { readLogs } from "./read-logs.ts";

/**
 * A sandbox's log for whoever puts lines together: the entries of `SandboxHandle.logs()` and `logStream()`, with the marks
 * of where a line ends without a newline between them.
 */
export interface MarkedLog {
  read(options: LogReadOptions): Promise<LogEntry[]>;
  stream(options: LogStreamOptions): Promise<LogStream>;
}

/** @throws SandboxNotFoundError */
export async function openMarkedLog(name: string): Promise<MarkedLog> {
  const home = locateHome();
  const { record } = await findSandbox(home, name);
  const control = new SandboxControl(home, record, null, false);
  return {
    read: (options) =>
      control.run("read the logs of sandbox", {}, (operation) =>
        operation.wait(control.find().then(({ paths }) => readLogs(paths, options, true))),
      ),
    stream: (options) =>
      control.run("open the logs of sandbox", {}, (operation) =>
        LogStream.open(control, options, operation, true),
      ),
  };
}
