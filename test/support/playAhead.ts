/**
 * Plays cases some ahead of the tests that wait for them: most of the time of each is spent on waiting for a deadline.
 *
 * @param width how many are under way at once
 * @returns what a test calls for its case; it ends as the case does
 */
export function playAhead<Case>(
  cases: readonly Case[],
  width: number,
  play: (one: Case) => Promise<void>,
): (one: Case) => Promise<void> {
  const begun = new Map<Case, Promise<void>>();
  const begin = (one: Case): Promise<void> => {
    const known = begun.get(one);
    if (known !== undefined) return known;
    const playing = play(one);
    // Told by its own test.
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
