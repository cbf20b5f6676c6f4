/** Style sheets, which esbuild puts together. */
declare module "*.css" {}
