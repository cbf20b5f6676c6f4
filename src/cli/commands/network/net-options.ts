import { flag } from "../../grammar/command.ts";

export const persistOption = flag({
  description: "Also when it is started again; without this until the sandbox stops",
});

export const quietOption = flag({ short: "q", description: "Print nothing but errors" });
