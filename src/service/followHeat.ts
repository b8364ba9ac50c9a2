import type { Heat } from '../core/heat.ts';

/** Closes a window of heat again and again; keeps no process alive. @returns what ends it */
export function followHeat(heat: Heat, everyMs: number): () => void {
  let beganMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // Measured: a busy process is late, and its windows are longer.
    heat.closeWindow(nowMs - beganMs);
    beganMs = nowMs;
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
