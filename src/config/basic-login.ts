/** What basic authentication can carry (RFC 7617, section 2). */
export function isBasicLogin(username: string, password: string): boolean {
  const isSendable = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);
  return username !== "" && !username.includes(":") && isSendable(username) && isSendable(password);
}
