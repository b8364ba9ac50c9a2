/** P1 to P10, P12 to P14 and the other promised figures, as data: the comparison, the formula, and the bounds. */
import type { Pressure } from '../arms.ts';
import type { MeasuredPair } from '../rounds.ts';
import { meanOf, spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';

export interface Figure {
  readonly id: string;
  readonly what: string;
  readonly arm: string;
  readonly reference: string;
  readonly pressure: Pressure;
  readonly connections: number;
  /** Whether a larger or a smaller value is better. */
  readonly better: 'more' | 'less';
  /** Must hold. */
  readonly floor: number;
  /** The value to aim at. */
  readonly goal: number;
  /** The round that is compared with the bounds; absent: the median. */
  readonly judged?: 'worst';
  /** Computes the figure of one round; null where a part of it could not be measured. */
  readonly value: (pair: MeasuredPair) => number | null;
}

export type FigureVerdict = 'goal' | 'floor' | 'MISSED' | 'VOID' | 'not measured';

export interface FigureRow extends Pick<Figure, 'id' | 'what' | 'connections' | 'better' | 'floor' | 'goal'> {
  readonly spread: Spread | null;
  /** Of each round. */
  readonly values: readonly number[];
  readonly verdict: FigureVerdict;
}

const rateRatio = ({ run, references }: MeasuredPair): number => run.rate / meanOf(references.map(({ rate }) => rate));
const medianLatencyRatio = ({ run, references }: MeasuredPair): number =>
  run.counted.p50Ms / meanOf(references.map(({ counted }) => counted.p50Ms));

const p99ExcessInBatches = ({ run, references, raw }: MeasuredPair): number | null =>
  raw === null
    ? null
    : (run.counted.p99Ms - meanOf(references.map(({ counted }) => counted.p99Ms))) / raw.p99TwoBatchesMs;

function gatewayCpuRatio({ run, references: around }: MeasuredPair): number | null {
  const references = around.map(({ cpuMicros }) => cpuMicros.server);
  const gateway = run.cpuMicros.server;
  return gateway === null || !references.every((micros) => micros !== null) ? null : gateway / meanOf(references);
}

const databaseCpuRatio = ({ run, raw }: MeasuredPair): number | null =>
  run.cpuMicros.store === null || raw === null || raw.serverMicrosPerRow === null
    ? null
    : run.cpuMicros.store / raw.serverMicrosPerRow;

const othersPercent = ({ run }: MeasuredPair): number => run.othersShare * 100;

type Bounds = readonly [floor: number, goal: number];
type Parts = Pick<Figure, 'id' | 'what' | 'arm' | 'reference'> & Partial<Figure>;

/** A row for each number of connections, with its bounds. */
const rows = (parts: Parts, bounds: Readonly<Record<number, Bounds>>): Figure[] =>
  Object.entries(bounds).map(([connections, [floor, goal]]) => ({
    pressure: 'all_out',
    better: 'more',
    value: rateRatio,
    ...parts,
    connections: Number(connections),
    floor,
    goal,
  }));

const both = (floor: number, goal: number): Record<number, Bounds> => ({ 256: [floor, goal], 1_024: [floor, goal] });

/** Orders of three lines, on one server and over four. */
const CARTS: readonly Figure[] = [
  ...rows(
    { id: 'P12', what: 'three lines, one server ÷ echo', arm: 'carts', reference: 'echo_carts' },
    { 256: [0.2, 0.3], 1_024: [0.35, 0.55] },
  ),
  ...rows(
    { id: 'P13', what: 'three lines, four servers ÷ echo', arm: 'carts_4', reference: 'echo_carts_4' },
    { 256: [0.14, 0.22], 1_024: [0.25, 0.4] },
  ),
  ...rows(
    { id: 'P14', what: 'three lines, one server ÷ textbook', arm: 'carts', reference: 'textbook_carts' },
    both(3, 5),
  ),
  ...['carts', 'carts_4'].flatMap((arm) => [
    ...rows(
      {
        id: 'carts',
        what: `% of orders that were not sold, with enough stock, ${arm}`,
        arm,
        reference: `echo_${arm}`,
        better: 'less',
        value: othersPercent,
        judged: 'worst',
      },
      both(0, 0),
    ),
    ...rows(
      { id: 'carts', what: `5 % replays ÷ none, ${arm}`, arm: `${arm}_replays`, reference: arm },
      { 1_024: [0.7, 0.7] },
    ),
    ...rows(
      { id: 'carts', what: `one SKU in eight runs out ÷ none, ${arm}`, arm: `${arm}_shortages`, reference: arm },
      { 1_024: [0.7, 0.7] },
    ),
  ]),
];

export const FIGURES: readonly Figure[] = [
  ...rows({ id: 'P1', what: 'one hot SKU ÷ echo', arm: 'hot', reference: 'echo' }, both(0.8, 0.95)),
  ...rows({ id: 'P2', what: 'one hot SKU ÷ textbook', arm: 'hot', reference: 'textbook_hot' }, both(10, 20)),
  ...rows(
    { id: 'P3', what: '1,024 SKUs ÷ echo', arm: 'many', reference: 'echo' },
    { 256: [0.45, 0.6], 1_024: [0.6, 0.75] },
  ),
  ...rows({ id: 'P4', what: '1,024 SKUs ÷ textbook', arm: 'many', reference: 'textbook_many' }, both(5, 8)),
  ...rows({ id: 'P5', what: 'one hot SKU ÷ Koa + Redis', arm: 'hot', reference: 'redis' }, both(0.7, 1)),
  ...rows({ id: 'P6', what: 'sold out ÷ echo', arm: 'sold_out_early', reference: 'echo' }, both(0.9, 0.98)),
  ...rows(
    { id: 'engine', what: 'sold out, refused by the engine ÷ echo', arm: 'sold_out', reference: 'echo' },
    both(0.85, 0.95),
  ),
  ...(
    [
      ['hot', 2, 1.5],
      ['many', 5, 3],
    ] as const
  ).flatMap(([arm, floor, goal]) =>
    rows(
      {
        id: 'P7',
        what: `(p99 − p99 of echo) ÷ p99 of two 64-row batches, half of peak, ${arm}`,
        arm,
        reference: 'echo',
        pressure: 'half_of_peak',
        better: 'less',
        value: p99ExcessInBatches,
      },
      { 256: [floor, goal] },
    ),
  ),
  ...rows(
    { id: 'P8', what: '16 shards ÷ 1 shard, 1,024 SKUs', arm: 'many', reference: 'one_shard' },
    { 1_024: [0.8, 0.9] },
  ),
  ...rows(
    {
      id: 'P9',
      what: 'CPU of gateway ÷ CPU of echo, hot',
      arm: 'hot',
      reference: 'echo',
      better: 'less',
      value: gatewayCpuRatio,
    },
    { 1_024: [1.3, 1.1] },
  ),
  ...rows(
    {
      id: 'P10',
      what: 'CPU of MySQL ÷ CPU of MySQL per raw row, hot',
      arm: 'hot',
      reference: 'echo',
      better: 'less',
      value: databaseCpuRatio,
    },
    { 1_024: [1.5, 1.1] },
  ),
  ...rows(
    {
      id: 'spans',
      what: 'CPU of gateway with spans of 1 % ÷ without, hot',
      arm: 'few_spans',
      reference: 'hot',
      better: 'less',
      value: gatewayCpuRatio,
    },
    { 1_024: [1.2, 1.1] },
  ),
  ...rows(
    {
      id: 'spans',
      what: 'CPU of gateway with spans of all ÷ without, hot',
      arm: 'spans',
      reference: 'hot',
      better: 'less',
      value: gatewayCpuRatio,
    },
    { 1_024: [4, 2] },
  ),
  ...rows(
    { id: 'spans', what: 'one hot SKU with spans of 1 % ÷ without', arm: 'few_spans', reference: 'hot' },
    { 1_024: [0.85, 0.95] },
  ),
  ...rows(
    { id: 'spans', what: 'one hot SKU with spans of all ÷ without', arm: 'spans', reference: 'hot' },
    { 1_024: [0.25, 0.5] },
  ),
  ...rows(
    { id: 'mixed', what: '10 % replays and 5 % shorts ÷ 1,024 SKUs', arm: 'mixed', reference: 'many' },
    both(0.7, 0.7),
  ),
  ...rows(
    {
      id: 'light',
      what: 'p50 of one client ÷ textbook',
      arm: 'hot',
      reference: 'textbook_hot',
      pressure: 'one_client',
      better: 'less',
      value: medianLatencyRatio,
    },
    { 1: [1.3, 1.3] },
  ),
  ...CARTS,
];

/** Makes one row of the report. */
export function figureRow(figure: Figure, pairs: readonly MeasuredPair[]): FigureRow {
  const { id, what, connections, better, floor, goal } = figure;
  const own = pairs.filter(
    ({ comparison, ...pair }) =>
      comparison.arm === figure.arm &&
      comparison.reference === figure.reference &&
      comparison.pressure === figure.pressure &&
      pair.connections === connections,
  );
  const values = own.map(figure.value).filter((value): value is number => Number.isFinite(value));
  const spread = spreadOf(values);
  const isVoid = own.some(({ run, references }) => [run, ...references].some(({ faults }) => faults.length > 0));
  return {
    id,
    what,
    connections,
    better,
    floor,
    goal,
    spread,
    values,
    verdict: isVoid ? 'VOID' : verdictOn(figure, spread),
  };
}

/** Compares the median, or the worst round, with the bounds. */
export function verdictOn(
  { better, floor, goal, judged }: Pick<Figure, 'better' | 'floor' | 'goal' | 'judged'>,
  spread: Spread | null,
): FigureVerdict {
  if (spread === null) return 'not measured';
  const worst = better === 'more' ? spread.min : spread.max;
  const value = judged === 'worst' ? worst : spread.median;
  const reaches = (bound: number): boolean => (better === 'more' ? value >= bound : value <= bound);
  return reaches(goal) ? 'goal' : reaches(floor) ? 'floor' : 'MISSED';
}
