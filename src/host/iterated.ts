/**
 * Work that goes on while its items are iterated, and ends with the loop.
 *
 * @param run does what it is given as a piece of work, with whatever it takes: see `Operation.run`
 * @param items the work's, as long as it goes on
 * @throws what `run` and `items` throw
 */
export async function* iterated<Subject, T>(
  run: (work: (subject: Subject) => Promise<void>) => Promise<void>,
  items: (subject: Subject) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const begun = Promise.withResolvers<AsyncGenerator<T, void, undefined>>();
  const left = Promise.withResolvers<void>();
  const over = run(async (subject) => {
    begun.resolve(items(subject));
    await left.promise;
  });
  over.catch(begun.reject);
  try {
    yield* await begun.promise;
  } finally {
    left.resolve();
    await over;
  }
}
