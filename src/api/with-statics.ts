/**
 * A class, with the functions to get one of it as its static methods. They are given to it afterwards: a class that names itself inside
 * would lose its name in the bundle, and users see that name.
 */
export function withStatics<Class extends object, Statics extends object>(
  type: Class,
  statics: Statics,
): Class & Statics {
  for (const [name, value] of Object.entries(statics)) {
    Object.defineProperty(type, name, { value, configurable: true, writable: true });
  }
  return type as Class & Statics;
}
