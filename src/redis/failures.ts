/** Redis gave no answer: it cannot be reached, does not reply, or has too many commands waiting already. */
export class NoAnswer extends Error {
  override name = 'NoAnswer';
}
