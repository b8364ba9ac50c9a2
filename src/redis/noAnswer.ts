/** Redis gave no answer: it cannot be reached, does not reply, or has too many commands waiting already. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
}

/** The error after a wait for Redis. @param ms how long it was, in milliseconds */
export function tookTooLong(ms: number): NoAnswer {
  return new NoAnswer(`Redis took longer than ${Math.round(ms)} ms`);
}
