import { expect } from 'chai';
import { subRowOf } from '../../src/core/hot/layout.ts';
import type { Line, OrderTransaction } from '../../src/core/types.ts';
import { deductOrder } from '../../src/service/orders/deductOrder.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { skuOn } from '../support/engines/traffic.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { hotRowsOf } from '../support/hot/hotRows.ts';
import type { HotRow } from '../support/hot/hotRows.ts';
import { eventually } from '../support/run/eventually.ts';
import { stack } from '../support/run/setup.ts';

const ROWS = 3;
const UNITS_IN_ROW = 2;
const WAIT_MS = 10_000;
const REQUEST_MS = 3_000;
/** The server of the rows is not the same for all of them, so the coordinator is on the first shard. */
const COORDINATOR = 0;

describe('an order that is short on one SKU and names a split SKU whose units are held', () => {
  let gateway: TestGateway;
  let bench: CartBench;
  before(async () => {
    gateway = await startTestGateway();
    bench = openCartBench(undefined, 'batching');
  });
  after(async () => {
    await bench.parts.backgroundTasks.finish(WAIT_MS);
    bench.close();
    await gateway.stop();
  });

  const idIn = (row: number, name: string): string =>
    Array.from({ length: 99 }, (_, number) => `${name}${number}`).find((id) => subRowOf(id, ROWS) === row) ?? '';

  /** Opens a SKU in several rows with the same number of units. @returns its rows in their order */
  async function openRows(sku_id: string): Promise<HotRow[]> {
    await gateway.openSku(sku_id, ROWS * UNITS_IN_ROW);
    const url = `${gateway.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}/hot`;
    expect((await gateway.client.call({ method: 'PUT', url, body: { sub_rows: ROWS } })).status).to.equal(200);
    let rows: HotRow[] = [];
    await eventually('all rows have the same units', WAIT_MS, async () => {
      rows = (await hotRowsOf(stack(), sku_id)).filter(({ intake }) => intake !== 'none');
      return rows.length === ROWS && rows.every(({ leaved_amount }) => leaved_amount === UNITS_IN_ROW);
    });
    return rows.sort((a, b) => a.sub_row - b.sub_row);
  }

  /** Holds all units of a row for a transaction that is not decided. */
  async function holdRow(
    sku_id: string,
    { shard, sub_row, epoch }: HotRow,
    transaction: OrderTransaction,
  ): Promise<void> {
    const order_detail_id = idIn(sub_row, 'held');
    const lines = [{ sku_id, order_detail_id, quantity: UNITS_IN_ROW, row: { sub_row, epoch } }];
    const hold = { kind: 'hold', order_id: 'holder', attempt: 0, transaction, lines } as const;
    const [outcome] = await bench.parts.engine.apply(shard, [hold], performance.now() + REQUEST_MS);
    expect(outcome?.is).to.equal('held');
  }

  it('is refused for the first SKU only, because the held units may come back', async () => {
    const sku_id = fresh('held rows');
    const [first, ...others] = await openRows(sku_id);
    if (first === undefined) throw new Error('a split SKU has rows');
    const transaction = bench.parts.records.begin(COORDINATOR);
    for (const row of others) await holdRow(sku_id, row, transaction);
    const soldOut = skuOn(first.shard, fresh('sold out'));
    await bench.open(soldOut, 1);
    const lines: Line[] = [
      { sku_id: soldOut, order_detail_id: 'a', quantity: 2 },
      { sku_id, order_detail_id: idIn(first.sub_row, 'wanted'), quantity: UNITS_IN_ROW + 1 },
    ];
    const deadlineMs = performance.now() + REQUEST_MS;
    const { outcome } = await deductOrder(bench.parts, { order_id: fresh('order'), lines }, deadlineMs);
    expect(outcome).to.deep.equal({
      is: 'refused',
      code: 'insufficient_stock',
      lines: [{ ...lines[0], code: 'insufficient_stock', leaved_amount: 1 }],
    });
  });
});
