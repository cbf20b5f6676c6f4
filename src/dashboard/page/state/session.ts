/** Where the token is kept while the tab lives, for when the page is loaded again. */
const kept = "msb-token";

/**
 * The token of the address that the page was opened with. It is taken out of the address at once: that is shown, written down by the
 * browser, and may be copied.
 */
export const token: string = takeToken();

function takeToken(): string {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return sessionStorage.getItem(kept) ?? "";
  sessionStorage.setItem(kept, given);
  history.replaceState(null, "", "#/");
  return given;
}
