const WATCH_MS = 500;

/**
 * Ends this command in order on Ctrl-C, on SIGTERM, and when whoever started it is gone (npm killed with -9, a closed
 * terminal): nothing it started stays behind.
 *
 * @param stop what to do before exiting; called once
 * @param codeOfTerm the exit code after SIGTERM: 0 for a command that is meant to be ended so
 */
export function stopWithParent(stop: () => Promise<void>, codeOfTerm = 143): void {
  // `scripts/run.mjs` looked before it installed packages; by now it may be too late to tell.
  const parent = (globalThis as Record<symbol, unknown>)[Symbol.for('stockgate.parent')] ?? process.ppid;
  let stopping = false;
  const end = (code: number): void => {
    if (stopping) return;
    stopping = true;
    stop().then(
      () => process.exit(code),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end(codeOfTerm));
  process.on('SIGINT', () => end(130));
  process.on('SIGHUP', () => end(129));
  setInterval(() => process.ppid !== parent && end(1), WATCH_MS).unref();
}
