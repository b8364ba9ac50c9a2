import type { HotKeyTracker } from '../../core/hot/hotKeyTracker.ts';

/**
 * Closes a window of the request counts at every interval. Its timer does not keep the process alive.
 *
 * @returns a function that stops it
 */
export function closeHotKeyWindows(hotKeys: HotKeyTracker, everyMs: number): () => void {
  let beganMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // The window is measured: in a busy process the timer is late, and the window is longer.
    hotKeys.closeWindow(nowMs - beganMs);
    beganMs = nowMs;
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
