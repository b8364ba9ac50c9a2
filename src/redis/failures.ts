/** There is no answer of Redis: it cannot be reached, is silent, or has too much to do already. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
}
