/** What basic authentication can carry (RFC 7617, section 2). */
export function isBasicLogin(username: string, password: string): boolean {
  return username !== "" && !username.includes(":") && !/\p{Cc}/u.test(username + password);
}
