/**
 * Runs some cases ahead of the tests that wait for them, because each case spends most of its time on a deadline.
 *
 * @param width how many cases run at once
 * @returns the function that a test calls for its case; it ends as the case does
 */
export function runAhead<Case>(
  cases: readonly Case[],
  width: number,
  play: (one: Case) => Promise<void>,
): (one: Case) => Promise<void> {
  const begun = new Map<Case, Promise<void>>();
  const begin = (one: Case): Promise<void> => {
    const known = begun.get(one);
    if (known !== undefined) return known;
    const playing = play(one);
    // The test of the case reports the error.
    playing.catch(() => undefined);
    begun.set(one, playing);
    return playing;
  };
  return (one) => {
    const place = cases.indexOf(one);
    const [own] = cases.slice(place, place + width).map(begin);
    return own ?? play(one);
  };
}
