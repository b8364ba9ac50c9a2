import { flowKeyText } from '../../../src/core/types.ts';
import { expectedStateOf } from '../../../scripts/replay/expectedState.ts';
import { parseOrders } from '../../../scripts/replay/orders.ts';
import { planReplay } from '../../../scripts/replay/plan.ts';
import type { ReplayEvent } from '../../../scripts/replay/plan.ts';
import type { Result } from '../../../scripts/replay/play.ts';

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
  return { is, faults: [], ...more };
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

/** The cells of a row of a printed table, after its first cell. */
export function cellsOf(stdout: string, what: string): string[] {
  const row = stdout.split('\n').find((line) => line.startsWith(`│ ${what} `)) ?? '';
  return row
    .split('│')
    .slice(2, -1)
    .map((cell) => cell.trim());
}
