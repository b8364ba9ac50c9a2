let over: Promise<void> | null = null;

/**
 * The end of this turn of the event loop, the same for all who ask in it. Who was refused at once waits for it: answers that leave
 * together wake up the other side once, and while those of one turn are written the next requests come in together.
 */
export function endOfTurn(): Promise<void> {
  over ??= new Promise((resolve) =>
    setImmediate(() => {
      over = null;
      resolve();
    }),
  );
  return over;
}
