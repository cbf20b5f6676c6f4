/** Whom the server is. */
export const hosts = "*.bench.test";
export const host = "api.bench.test";
export const secretName = "KEY";
export const placeholder = "$MSB_KEY";
export const secretValue = "a-value-of-thirty-two-characters";
