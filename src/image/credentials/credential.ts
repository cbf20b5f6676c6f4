/** What a registry is shown to let someone in. Never written to a log or into an error. */
export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** A long-lived token that a token service exchanges for short ones, as docker's helpers return for the user `<token>`. */
  | { readonly kind: "identityToken"; readonly token: string };
