/** Calls `work` for each item, at most `width` calls at once. @throws the error of the first failed call */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of iterator) await work(item);
    }),
  );
}
