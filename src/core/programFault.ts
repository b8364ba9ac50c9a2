/**
 * Whether something that was thrown is a programming error, as against a failure of a shard, a server or a wire. For
 * places
 * that cannot list all failures they expect: these errors must reach the log and must not be taken for "away".
 */
export function isProgramFault(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
