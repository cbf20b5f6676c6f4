/** What is used of it; the package brings no types. */
declare module "wabt" {
  interface WasmModule {
    validate(): void;
    toBinary(options: { readonly write_debug_names?: boolean }): { readonly buffer: Uint8Array };
    destroy(): void;
  }
  const initialize: () => Promise<{
    parseWat(fileName: string, text: string, features?: Readonly<Record<string, boolean>>): WasmModule;
  }>;
  export = initialize;
}
