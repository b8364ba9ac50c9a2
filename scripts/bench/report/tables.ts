import { printTable } from '../../../src/commands/support/report.ts';
import { armNamed } from '../arms.ts';
import { poolsOf } from '../textbookPool.ts';
import type { ArmRow } from './armRows.ts';
import type { FigureRow } from './figures.ts';
import type { Report } from './reportFile.ts';
import type { ScalingRow } from '../scaling/rows.ts';
import type { Spread } from './statistics.ts';

const ARM_HEAD = [
  'arm',
  'connections',
  'requests/s',
  '÷ echo',
  'CPU µs: Koa',
  'store',
  'generator',
  'p50 ms',
  'p99 ms',
  'other answers',
];
const SCALING_HEAD = [
  'arm',
  'N',
  'connections',
  'orders/s',
  '÷ one',
  '÷ one ÷ N',
  'orders/batch',
  'ms/batch',
  'cores: Koa',
  'MySQL',
  'generator',
  'p99 ms',
];

/** Prints a report for people. */
export function printReport(report: Report): void {
  const { figures, arms, scaling, batch64, pools } = report;
  console.log(`\n${summaryOf(report)}\n`);
  printTable(['', 'what', 'connections', 'floor', 'goal', 'median [min..max]', 'verdict'], figures.map(figureCells));
  if (arms.length > 0) {
    console.log();
    printTable(ARM_HEAD, arms.map(armCells));
  }
  if (scaling.length > 0) {
    console.log();
    printTable(SCALING_HEAD, scaling.map(scalingCells));
  }
  printStatements(arms);
  printBatches(batch64);
  printPools(pools);
}

function summaryOf({ machine, product, generator, commit, isDirty, rounds, seconds }: Report): string {
  return [
    product,
    `load by ${generator}`,
    `${machine.cores} cores, Node.js ${machine.node}`,
    `${commit}${isDirty ? ' with changes' : ''}`,
    `${rounds} rounds of ${seconds} s`,
  ].join('; ');
}

function printStatements(arms: readonly ArmRow[]): void {
  const whole = (value: number): string => value.toFixed(0);
  for (const { arm, connections, statements, idleStatements } of arms) {
    if (statements === null) continue;
    console.log(
      `${arm}, ${connections}: the databases received ${spreadCell(statements, whole)} statements a second, ` +
        `and ${spreadCell(idleStatements, whole)} without requests`,
    );
  }
}

function printBatches(batch64: Report['batch64']): void {
  if (batch64 === null) return;
  const { medianMs, p99Ms, p99OfTwo } = batch64;
  console.log(`a batch of 64 rows alone, ms: median ${spreadCell(medianMs, ratio)}, p99 ${spreadCell(p99Ms, ratio)}`);
  console.log(
    'the rest of a running batch and the next one, from a random moment: ' +
      `p99 ${spreadCell(p99OfTwo, ratio)} medians of one batch, about the P7 of a gateway that takes no time`,
  );
}

function printPools(pools: Report['pools']): void {
  for (const [arm, rates] of Object.entries(pools)) {
    const sizes = Object.entries(rates).map(([size, rate]) => `${size}: ${Math.round(rate)}/s`);
    console.log(`${arm}, connections to each ${poolsOf(armNamed(arm).server)?.each}: ${sizes.join(', ')}`);
  }
}

/** The cells of one figure. */
export function figureCells({
  id,
  what,
  connections,
  better,
  floor,
  goal,
  spread,
  verdict,
}: FigureRow): (string | number)[] {
  const bound = (value: number): string => `${better === 'more' ? '≥' : '≤'} ${value}`;
  return [id, what, connections, bound(floor), bound(goal), spreadCell(spread, ratio), verdict];
}

function armCells({
  arm,
  pressure,
  connections,
  rate,
  toEcho,
  serverMicros,
  storeMicros,
  generatorMicros,
  p50Ms,
  p99Ms,
  others,
}: ArmRow): (string | number)[] {
  const name = pressure === 'all_out' ? arm : `${arm}, ${pressure.replaceAll('_', ' ')}`;
  return [
    name,
    connections,
    spreadCell(rate, (value) => String(Math.round(value))),
    toEcho === null ? '-' : ratio(toEcho.median),
    ...[serverMicros, storeMicros, generatorMicros].map((micros) => medianCell(micros, 1)),
    ...[p50Ms, p99Ms].map((ms) => medianCell(ms, 2)),
    Object.entries(others)
      .map(([outcome, count]) => `${outcome} ${count}`)
      .join(', ') || '-',
  ];
}

/** The cells of one number of sub-rows. */
export function scalingCells({
  what,
  sub_rows,
  connections,
  rate,
  toOne,
  share,
  rowsPerBatch,
  batchMs,
  cores,
  p99Ms,
}: ScalingRow): (string | number)[] {
  return [
    what,
    sub_rows,
    connections,
    spreadCell(rate, (value) => String(Math.round(value))),
    medianCell(toOne, 2),
    spreadCell(share, ratio),
    medianCell(rowsPerBatch, 1),
    medianCell(batchMs, 1),
    ...[cores.server, cores.store, cores.generator].map((used) => medianCell(used, 2)),
    medianCell(p99Ms, 0),
  ];
}

function medianCell(spread: Spread | null, digits: number): string {
  return spread === null ? '-' : spread.median.toFixed(digits);
}

function spreadCell(spread: Spread | null, text: (value: number) => string): string {
  return spread === null ? '-' : `${text(spread.median)} [${text(spread.min)}..${text(spread.max)}]`;
}

function ratio(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 0.1 ? 3 : size < 10 ? 2 : 1);
}
