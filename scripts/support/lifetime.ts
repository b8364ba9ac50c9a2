const WATCH_MS = 500;

/**
 * Ends this command in order on Ctrl-C, on SIGTERM, and when its parent process has ended (npm killed with -9, a closed
 * terminal). No process that it started survives it.
 *
 * @param stop called once, before exiting
 * @param codeOfTerm the exit code after SIGTERM: 0 for a command whose normal end is SIGTERM
 */
export function stopOnSignalOrParentExit(stop: () => Promise<void>, codeOfTerm = 143): void {
  // `scripts/run.mjs` recorded the parent before it installed packages; the parent may have ended since.
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
