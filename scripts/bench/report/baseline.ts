import { readFileSync } from 'node:fs';
import { projectPath } from '../../../src/projectPath.ts';
import type { FigureRow } from './figures.ts';
import type { Report } from './reportFile.ts';
import { writeJson } from './reportFile.ts';

/**
 * The figures that the quick form guards. A ratio of CPU times is nearly the same on a busy machine and on an idle one.
 * The best round counts, in the baseline and now, because other work of the machine can only make a round worse.
 */
export const GUARDED = ['P9', 'P10'];

/** How much worse than the baseline a figure may be, as a share of it. */
export const MARGIN = 0.5;

/** The figures of the quick form when they were last recorded. */
export interface Baseline extends Pick<Report, 'commit' | 'measuredAt' | 'product' | 'generator' | 'machine'> {
  readonly figures: Readonly<Record<string, number>>;
}

const FILE = projectPath('scripts/bench/baseline.json');

/** @returns null when none was recorded yet */
export function readBaseline(): Baseline | null {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8')) as Baseline;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export function writeBaseline({ commit, measuredAt, product, generator, machine, figures }: Report): void {
  const best = figures.flatMap(({ id, spread }) =>
    spread === null ? [] : [[id, Number(spread.min.toFixed(3))] as const],
  );
  writeJson(FILE, {
    commit,
    measuredAt,
    product,
    generator,
    machine,
    figures: Object.fromEntries(best),
  } satisfies Baseline);
}

/** Which figures are worse than the baseline by more than the margin, in sentences. Less is better in all of them. */
export function regressions(
  figures: readonly Pick<FigureRow, 'id' | 'what' | 'spread'>[],
  baseline: Pick<Baseline, 'commit' | 'figures'>,
): string[] {
  return figures.flatMap(({ id, what, spread }) => {
    const before = baseline.figures[id];
    if (before === undefined) return [`${id} is not in the baseline; record it with --record`];
    if (spread === null) return [`${id} could not be measured`];
    const limit = before * (1 + MARGIN);
    if (spread.min <= limit) return [];
    return [
      `${id} (${what}) is ${spread.min.toFixed(2)}, was ${before.toFixed(2)} on ${baseline.commit}; ` +
        `the limit is ${limit.toFixed(2)} (${MARGIN * 100} % more)`,
    ];
  });
}
