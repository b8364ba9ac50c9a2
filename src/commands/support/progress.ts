import { SingleBar } from 'cli-progress';

export interface Progress {
  /** Counts `steps` more, and may show a note. */
  add(steps: number, note?: string): void;
  stop(): void;
}

/** A progress bar on standard error; without a terminal, a new line every two seconds. */
export function progressBar(what: string, total: number, unit: string): Progress {
  const bar = new SingleBar({
    format: `${what} {bar} {value}/{total} ${unit} {note}`,
    barsize: 24,
    hideCursor: true,
    noTTYOutput: true,
    notTTYSchedule: 2_000,
    etaBuffer: 50,
  });
  bar.start(total, 0, { note: '' });
  return {
    add: (steps, note) => (note === undefined ? bar.increment(steps) : bar.increment(steps, { note })),
    stop: () => bar.stop(),
  };
}
