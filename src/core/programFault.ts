/**
 * Whether a thrown value is a programming error, and not a failure of a shard, a server or a wire. For code that cannot
 * list all failures that it expects: a programming error must reach the log and must not be treated as an unavailable
 * shard.
 */
export function isProgramFault(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
