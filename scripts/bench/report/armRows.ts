import { ARMS } from '../arms.ts';
import type { Pressure } from '../arms.ts';
import type { Run } from '../measure.ts';
import type { Measured } from '../rounds.ts';
import { meanOf, spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';

/** All runs of an arm under one load, summed up. */
export interface ArmRow {
  readonly arm: string;
  readonly what: string;
  readonly pressure: Pressure;
  readonly connections: number;
  readonly rate: Spread | null;
  /** Its rate ÷ the rate of the echo runs around it; null where it was not compared with the echo. */
  readonly toEcho: Spread | null;
  /** CPU in microseconds for each answer that counts. */
  readonly serverMicros: Spread | null;
  readonly storeMicros: Spread | null;
  readonly generatorMicros: Spread | null;
  /** A second; null where they are not counted. */
  readonly statements: Spread | null;
  readonly idleStatements: Spread | null;
  readonly p50Ms: Spread | null;
  readonly p99Ms: Spread | null;
  /** Answers of other kinds, over all runs. */
  readonly others: Readonly<Record<string, number>>;
}

const PRESSURES: readonly Pressure[] = ['all_out', 'half_of_peak', 'one_client'];

/** A row for each arm, pressure and number of connections that was measured. */
export function armRows({ pairs, runs }: Measured): ArmRow[] {
  const connections = [...new Set(runs.map((run) => run.connections))].sort((a, b) => a - b);
  return PRESSURES.flatMap((pressure) =>
    connections.flatMap((count) =>
      ARMS.flatMap(({ name, what }) => {
        const is = (run: Run): boolean => run.arm === name && run.pressure === pressure && run.connections === count;
        const own = runs.filter(is);
        if (own.length === 0) return [];
        const spread = (value: (run: Run) => number | null): Spread | null =>
          spreadOf(own.map(value).filter((each) => each !== null));
        const besideEcho = pairs.filter(({ run, comparison }) => is(run) && comparison.reference.startsWith('echo'));
        return [
          {
            arm: name,
            what,
            pressure,
            connections: count,
            rate: spread(({ rate }) => rate),
            toEcho: spreadOf(
              besideEcho.map(({ run, references }) => run.rate / meanOf(references.map(({ rate }) => rate))),
            ),
            serverMicros: spread(({ cpuMicros }) => cpuMicros.server),
            storeMicros: spread(({ cpuMicros }) => cpuMicros.store),
            generatorMicros: spread(({ cpuMicros }) => cpuMicros.generator),
            statements: spread(({ statements }) => statements?.loaded ?? null),
            idleStatements: spread(({ statements }) => statements?.idle ?? null),
            p50Ms: spread(({ counted }) => counted.p50Ms),
            p99Ms: spread(({ counted }) => counted.p99Ms),
            others: sumOf(own.map(({ others }) => others)),
          },
        ];
      }),
    ),
  );
}

function sumOf(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((each) => Object.entries(each))) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
