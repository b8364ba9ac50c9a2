import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname } from 'node:path';
import { projectPath } from '../../../src/projectPath.ts';
import { armRows } from './armRows.ts';
import type { ArmRow } from './armRows.ts';
import { FIGURES, figureRow } from './figures.ts';
import type { FigureRow } from './figures.ts';
import type { Measured } from '../rounds.ts';
import { scalingFigures, scalingRows } from '../scaling/rows.ts';
import type { ScalingRow, ScalingRun } from '../scaling/rows.ts';
import type { Scaled } from '../scaling/rounds.ts';
import { spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';
import { NODE_FLAGS } from '../world.ts';
import type { BenchWorld } from '../world.ts';

/** All results of a run of the benchmark, as the JSON file has them. */
export interface Report extends Pick<Measured, 'runs' | 'pools'> {
  /**
   * A durable INSERT of 64 rows, alone on one connection, over all rounds; null where none was made. `p99OfTwo` is in
   * medians of one batch: about the P7 of a gateway that takes no time.
   */
  readonly batch64: { readonly medianMs: Spread; readonly p99Ms: Spread; readonly p99OfTwo: Spread } | null;
  readonly commit: string;
  /** True when files of the checkout differ from the commit. */
  readonly isDirty: boolean;
  readonly measuredAt: string;
  readonly product: string;
  readonly generator: string;
  readonly machine: {
    readonly cores: number;
    readonly processor: string;
    readonly node: string;
    readonly nodeFlags: readonly string[];
  };
  readonly rounds: number;
  readonly seconds: number;
  readonly figures: readonly FigureRow[];
  readonly arms: readonly ArmRow[];
  /** Empty where the arm was not asked for. */
  readonly scaling: readonly ScalingRow[];
  readonly scalingRuns: readonly ScalingRun[];
  /** Why the report does not count; empty when it does. */
  readonly faults: readonly string[];
}

/** The measurements of each world; null for a world that was not asked for or cannot be had. */
export interface Findings {
  readonly measured: Measured | null;
  readonly scaled: Scaled | null;
}

const NOTHING: Measured = { pairs: [], runs: [], pools: {} };

/** @param ids which figures of the comparisons were asked for; null: all */
export function reportOf(
  { product, generatorName }: Pick<BenchWorld, 'product' | 'generatorName'>,
  { measured: found, scaled }: Findings,
  { rounds, seconds, ids }: { rounds: number; seconds: number; ids: readonly string[] | null },
): Report {
  const measured = found ?? NOTHING;
  const scalingRuns = scaled?.runs ?? [];
  const comparing = found === null ? [] : FIGURES.filter(({ id }) => ids === null || ids.includes(id));
  return {
    ...commitOfCheckout(),
    measuredAt: new Date().toISOString(),
    product,
    generator: generatorName,
    machine: {
      cores: availableParallelism(),
      processor: cpus()[0]?.model ?? '',
      node: process.versions.node,
      nodeFlags: NODE_FLAGS,
    },
    rounds,
    seconds,
    figures: [
      ...comparing.map((figure) => figureRow(figure, measured.pairs)),
      ...(scaled === null ? [] : scalingFigures(scalingRuns)),
    ],
    arms: armRows(measured),
    scaling: scalingRows(scalingRuns),
    scalingRuns,
    batch64: batch64Of(measured),
    faults: [
      ...[...measured.runs, ...scalingRuns.map(({ run }) => run)].flatMap(({ arm, connections, faults }) =>
        faults.map((fault) => `${arm}, ${connections} connections: ${fault}`),
      ),
      ...(scaled?.faults ?? []),
    ],
    pools: measured.pools,
    runs: measured.runs,
  };
}

function batch64Of({ pairs }: Measured): Report['batch64'] {
  const raws = [...new Set(pairs.flatMap(({ raw }) => raw ?? []))];
  const medianMs = spreadOf(raws.map((raw) => raw.medianBatchMs));
  const p99Ms = spreadOf(raws.map((raw) => raw.p99BatchMs));
  const p99OfTwo = spreadOf(raws.map((raw) => raw.p99TwoBatchesMs / raw.medianBatchMs));
  return medianMs === null || p99Ms === null || p99OfTwo === null ? null : { medianMs, p99Ms, p99OfTwo };
}

export function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

function commitOfCheckout(): Pick<Report, 'commit' | 'isDirty'> {
  const git = (...parameters: string[]): string =>
    execFileSync('git', parameters, { cwd: projectPath('.'), encoding: 'utf8' }).trim();
  try {
    return { commit: git('rev-parse', '--short', 'HEAD'), isDirty: git('status', '--porcelain') !== '' };
  } catch {
    return { commit: 'no commit', isDirty: true };
  }
}
