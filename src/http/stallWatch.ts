const BEAT_MS = 100;
/** A pause of this length is a stall: the process or its machine was stopped. */
const STALL_MS_MIN = 1_000;
/**
 * A request that is read within this time after a stall may have waited through all of it. A busy machine takes this
 * long to read all of them.
 */
const AFTERMATH_MS = 1_000;

/**
 * Detects stalls of the process.
 *
 * @returns a function that returns the earliest time since when a request that is read now may have waited in the
 *   socket. Nearly always that is now. Right after a stall it is the start of the stall: the caller may have given up
 *   long ago, and another gateway may have answered that nothing happened. So the request must not get a full deadline.
 */
export function stallWatch(): () => number {
  let beatMs = performance.now();
  let stall: { beganMs: number; endedMs: number } | null = null;
  setInterval(() => {
    const nowMs = performance.now();
    if (nowMs - beatMs > STALL_MS_MIN) stall = { beganMs: beatMs, endedMs: nowMs };
    beatMs = nowMs;
  }, BEAT_MS).unref();
  return () => {
    const nowMs = performance.now();
    if (nowMs - beatMs > STALL_MS_MIN) return beatMs;
    return stall !== null && nowMs - stall.endedMs < AFTERMATH_MS ? stall.beganMs : nowMs;
  };
}
