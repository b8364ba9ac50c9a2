import { SCALING, SCALING_CONTROL } from '../arms.ts';
import { verdictOn } from '../report/figures.ts';
import type { FigureRow } from '../report/figures.ts';
import type { Run } from '../measure.ts';
import { spreadOf } from '../report/statistics.ts';
import type { Spread } from '../report/statistics.ts';
import { connectionsFor, SUB_ROWS } from './setting.ts';

/** One run on `sub_rows` sub-rows; a run of the control has `sub_rows` SKUs instead. */
export interface ScalingRun {
  readonly round: number;
  readonly sub_rows: number;
  readonly run: Run;
}

/** All runs of an arm on one number of sub-rows. */
export interface ScalingRow {
  readonly arm: string;
  readonly what: string;
  readonly sub_rows: number;
  readonly connections: number;
  readonly rate: Spread | null;
  /** Its rate ÷ the rate on one sub-row in the same round. */
  readonly toOne: Spread | null;
  /** `toOne` ÷ the number of sub-rows. */
  readonly share: Spread | null;
  /** Orders in a transaction. Full batches show that orders were waiting. */
  readonly rowsPerBatch: Spread | null;
  /** The time from one batch of a sub-row to its next one. */
  readonly batchMs: Spread | null;
  readonly p99Ms: Spread | null;
  /** Cores in use. */
  readonly cores: { readonly server: Spread | null; readonly store: Spread | null; readonly generator: Spread | null };
}

/** The bound of `share` for each number of sub-rows. */
const SHARE_MIN = 0.85;

const shareOf = (runs: readonly ScalingRun[], { round, sub_rows, run }: ScalingRun): number => {
  const one = runs.find((each) => each.round === round && each.sub_rows === 1 && each.run.arm === run.arm);
  return one === undefined ? Number.NaN : run.rate / one.run.rate / sub_rows;
};

/** A row for each arm and number of sub-rows that was measured. */
export function scalingRows(runs: readonly ScalingRun[]): ScalingRow[] {
  return [SCALING, SCALING_CONTROL].flatMap(({ name, what }) =>
    SUB_ROWS.flatMap((sub_rows) => {
      const own = runs.filter((each) => each.run.arm === name && each.sub_rows === sub_rows);
      if (own.length === 0) return [];
      const spread = (value: (each: ScalingRun) => number | null): Spread | null =>
        spreadOf(own.map(value).filter(isKnown));
      const cores = (part: keyof Run['cpuMicros']): Spread | null =>
        spread(({ run: { cpuMicros, rate } }) => (cpuMicros[part] === null ? null : (cpuMicros[part] * rate) / 1e6));
      return [
        {
          ...{ arm: name, what, sub_rows, connections: connectionsFor(sub_rows) },
          rate: spread(({ run }) => run.rate),
          toOne: spread((each) => shareOf(runs, each) * sub_rows),
          share: spread((each) => shareOf(runs, each)),
          rowsPerBatch: spread(({ run }) => rowsPerBatchOf(run)),
          batchMs: spread(({ run }) => (1_000 * sub_rows * rowsPerBatchOf(run)) / run.rate),
          p99Ms: spread(({ run }) => run.counted.p99Ms),
          cores: { server: cores('server'), store: cores('store'), generator: cores('generator') },
        },
      ];
    }),
  );
}

function rowsPerBatchOf({ commits, counted }: Run): number {
  return commits === null ? Number.NaN : counted.made / commits;
}

function isKnown(value: number | null): value is number {
  return value !== null && Number.isFinite(value);
}

/** The figures of the arm, in the form of the other figures; one sub-row is the reference. */
export function scalingFigures(runs: readonly ScalingRun[]): FigureRow[] {
  return SUB_ROWS.filter((sub_rows) => sub_rows > 1).map((sub_rows) => {
    const own = runs.filter(
      ({ run, ...each }) => run.arm === SCALING.name && (each.sub_rows === sub_rows || each.sub_rows === 1),
    );
    const values = own
      .filter((each) => each.sub_rows === sub_rows)
      .map((each) => shareOf(runs, each))
      .filter(isKnown);
    const spread = spreadOf(values);
    const bounds = { better: 'more', floor: SHARE_MIN, goal: SHARE_MIN } as const;
    return {
      ...{
        id: 'scaling',
        what: `one SKU on ${sub_rows} sub-rows ÷ ${sub_rows} × on one`,
        connections: connectionsFor(sub_rows),
        ...bounds,
        spread,
        values,
      },
      verdict: own.some(({ run }) => run.faults.length > 0) ? 'VOID' : verdictOn(bounds, spread),
    };
  });
}
