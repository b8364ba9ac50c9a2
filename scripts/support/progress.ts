import { SingleBar } from 'cli-progress';

export interface Progress {
  /** Counts `steps` more, and may say something about where things stand. */
  add(steps: number, note?: string): void;
  stop(): void;
}

/** A progress line on standard error; without a terminal it prints a line every two seconds instead of moving. */
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
