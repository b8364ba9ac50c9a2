import { flowKeyText } from '../../../src/core/types.ts';
import { expectedStateOf } from '../../../scripts/replay/expectedState.ts';
import { parseOrders } from '../../../scripts/replay/orders.ts';
import { planReplay } from '../../../scripts/replay/plan.ts';
import type { ReplayEvent } from '../../../scripts/replay/plan.ts';
import type { Result } from '../../../scripts/replay/play.ts';
import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { runFile } from '../run/command.ts';
import type { Finished } from '../run/command.ts';
import { stack } from '../run/setup.ts';
import type { TemporaryFolder } from '../run/temporary.ts';

export const HEADER = 'invoiced_at,invoice,stock_code,quantity';

/** A cart with two equal rows, a second sale, and returns of units of one sale, of both sales, and of none. */
export const SHORT_FILE = [
  HEADER,
  '2010-01-04T09:00:00Z,1001,{}A,10',
  '2010-01-04T09:00:00Z,1001,{}B,3',
  '2010-01-04T09:00:00Z,1001,{}B,3',
  '2010-01-04T10:00:00Z,1002,{}A,4',
  '2010-01-04T11:00:00Z,C1003,{}A,-4',
  '2010-01-04T12:00:00Z,C1004,{}A,-7',
  '2010-01-04T12:00:00Z,C1004,{}A,-5',
  '2010-01-04T13:00:00Z,C1005,{}C,-2',
  '2010-01-04T14:00:00Z,1006,{}A,1',
  '2010-01-04T15:00:00Z,C1007,{}A,-2',
];

/** The rows of a file with this content. */
export const rowsIn = (text: string) => parseOrders([Buffer.from(text)], 'orders.csv');
/** The rows of a file with these lines. */
export const csvRowsOf = (lines: readonly string[]) => rowsIn(lines.join('\r\n').replaceAll('{}', ''));
export const replayPlanOf = async (lines: readonly string[]) => planReplay(await csvRowsOf(lines), 'orders.csv');
/** The message of the error of a promise; `none` without an error. */
export const messageOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'none',
    (error: Error) => error.message,
  );
/** An event in one line. */
export function briefly(event: ReplayEvent): string {
  if (event.kind === 'cart') {
    const lines = event.lines.map(
      ({ order_detail_id, sku_id, quantity }) => `${order_detail_id} ${quantity} ${sku_id}`,
    );
    return `${event.order_id}: ${lines.join(', ')}`;
  }
  const { return_id, quantity, sku_id, order_detail_id, of } = event;
  return `${return_id}: ${quantity} ${sku_id} of ${order_detail_id}${of === null ? ', not sold' : ''}`;
}

export function resultOf(is: Result['is'], more: Partial<Result> = {}): Result {
  return { is, faults: [], latencyMs: 0, ...more };
}

/** The flows of the carts that were accepted, as the journal of a sound gateway has them. */
export function journalOf(results: ReadonlyMap<ReplayEvent, Result>, opening: ReadonlyMap<string, number>) {
  const { carts, returned } = expectedStateOf(results, opening);
  const flows = carts.flatMap(({ cart: { order_id, lines } }) => lines.map((line) => ({ order_id, line })));
  return new Map(
    flows.map(({ order_id, line }) => {
      const key = flowKeyText(line);
      const units = { quantity: line.quantity, returned: returned.get(key) ?? 0 };
      return [key, { order_id, ...units, status: 'deducted' as const }] as const;
    }),
  );
}

/** Writes a file whose invoices and SKUs only this test has. @returns its path */
export function writeOrders(folder: TemporaryFolder, lines: readonly string[]): string {
  const name = fresh('replay');
  return folder.write(
    `${name}.csv`,
    lines
      .join('\r\n')
      .replaceAll('{}', `${name}-`)
      .replaceAll(/Z,(C?)/g, `Z,$1${name}-`),
  );
}

/** The tokens of a gateway that `runReplay` can use. */
export const REPLAY_TOKENS = { STOCKGATE_TOKENS: 'shop', STOCKGATE_ADMIN_TOKENS: 'admin' };

/** Runs `npm run replay` with four clients against a running gateway. */
export function runReplay(gateway: TestGateway, file: string, ...args: readonly string[]): Promise<Finished> {
  return runFile(
    'scripts/replay.ts',
    [file, '--concurrency', '4', '--url', gateway.publicUrl, '--admin-url', gateway.adminUrl, ...args],
    { ...stack().environment, ...REPLAY_TOKENS },
  );
}

/** The cells of a row of a printed table, after its first cell. */
export function cellsOf(stdout: string, what: string): string[] {
  const row = stdout.split('\n').find((line) => line.startsWith(`│ ${what} `)) ?? '';
  return row
    .split('│')
    .slice(2, -1)
    .map((cell) => cell.trim());
}
