let endOfThisTurn: Promise<void> | null = null;

/**
 * Resolves at the end of this turn of the event loop; all calls of one turn share the promise. Refusals that need no
 * wait are sent then: answers that are sent together wake the client once, and while they are written, the next
 * requests arrive together.
 */
export function endOfTurn(): Promise<void> {
  endOfThisTurn ??= new Promise((resolve) =>
    setImmediate(() => {
      endOfThisTurn = null;
      resolve();
    }),
  );
  return endOfThisTurn;
}
