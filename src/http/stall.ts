const BEAT_MS = 100;
/** A silence of this length is a stall: the process was stopped, or its machine was. */
const STALL_MS_MIN = 1_000;
/** What is read within this time after a stall may have waited through all of it; a busy machine takes long to read it all. */
const AFTERMATH_MS = 1_000;

/**
 * Tells since when a request that is being read may have been waiting in the socket. Nearly always that is now; right after
 * a stall it is the moment the stall began: its sender may have given up long ago and been told elsewhere that nothing
 * happened, so it must not be given a fresh deadline.
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
