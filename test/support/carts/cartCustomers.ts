import { expect } from 'chai';
import type { Line } from '../../../src/core/types.ts';
import type { Answer } from '../../../scripts/support/httpClient.ts';
import { cartRows, endsOf, nothingHeld } from './cartRows.ts';
import type { TestGateway } from '../gateway/gateway.ts';

/** An order as it was sent, and its answer. */
export interface SentOrder {
  readonly order_id: string;
  readonly lines: readonly Line[];
  readonly answer: Answer;
}

/** After a refusal every unit must be free again within this time. */
export const FREE_MS = 5_000;

export async function sendCart(gateway: TestGateway, order_id: string, lines: readonly Line[]): Promise<SentOrder> {
  return { order_id, lines, answer: await gateway.post('/v1/deductions', { order_id, lines }) };
}

/** The outcome in one word: `201`, or the code of the problem. */
export function wordOf({ status, body }: Answer): string {
  return status < 400 ? String(status) : String(body?.code);
}

/**
 * Checks the answers to some orders, each with ids of its own, against the shards. Each order is applied as a whole or
 * not at all, as it was answered. The units that are gone are exactly those of the accepted orders.
 *
 * @param opened the units that each SKU was opened with
 */
export async function expectWhole(sent: readonly SentOrder[], opened: ReadonlyMap<string, number>): Promise<void> {
  const sku_ids = [...opened.keys()];
  await nothingHeld(sku_ids, FREE_MS);
  const rows = await cartRows(sku_ids);
  const taken = new Map<string, number>();
  const wrong: string[] = [];
  for (const { order_id, lines, answer } of sent) {
    const ends = new Set(endsOf(rows, lines));
    const word = wordOf(answer);
    const isSold = ends.has('deducted');
    const isAsAnswered = word === 'outcome_unknown' || isSold === (word === '201' || word === '200');
    if (ends.size !== 1 || !isAsAnswered)
      wrong.push(`${order_id} of ${lines.length} lines was answered ${word}: ${[...ends].join()}`);
    if (isSold) for (const { sku_id, quantity } of lines) taken.set(sku_id, (taken.get(sku_id) ?? 0) + quantity);
  }
  expect(wrong).to.deep.equal([]);
  for (const [sku_id, units] of opened) {
    expect(rows.stock.get(sku_id), sku_id).to.deep.equal({ leaved: units - (taken.get(sku_id) ?? 0), held: 0 });
  }
}
