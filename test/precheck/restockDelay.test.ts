import { expect } from 'chai';
import { subRowOf } from '../../src/core/hot/layout.ts';
import { planRebalance } from '../../src/core/hot/rebalancePlan.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { eventually } from '../support/run/eventually.ts';
import { allServe, precheckedShards } from '../support/systems/precheckGateway.ts';

const SHARDS = 2;
const UNITS = 6;

describe('the restock delay of a split SKU', () => {
  let shards: OwnShards;
  let gateway: TestGateway;

  before(async () => {
    shards = await precheckedShards(SHARDS);
    gateway = await startTestGateway({ STOCKGATE_PRECHECK: 'memory' }, shards);
    await allServe(gateway);
  });

  after(async () => {
    await gateway.stop();
    await shards.drop();
  });

  /** An id of the SKU that belongs to one of its two rows. */
  const idIn = (sub_row: number, name: string): string =>
    Array.from({ length: 99 }, (_, number) => `${name} ${number}`).find((id) => subRowOf(id, 2) === sub_row) ?? '';

  it('does not apply to moved units that an aborted cart leaves in a row whose new units are delayed', async () => {
    const sku_id = fresh('put back');
    const owners = new SlotMap(SHARDS);
    const owner = owners.shardOf(sku_id);
    // On another shard, so that the hold of the split SKU does not depend on it.
    const scarce = Array.from({ length: 99 }, () => fresh('scarce')).find((id) => owners.shardOf(id) !== owner) ?? '';
    await gateway.openSku(scarce, 1);
    await gateway.openSku(sku_id, UNITS);
    expect((await gateway.adminPut(`/v1/skus/${encodeURIComponent(sku_id)}/hot`, { sub_rows: 2 })).status).to.equal(
      200,
    );
    const firstRow = `sku_id = '${sku_id}' AND sub_row = 0`;
    await eventually('both rows have three units', 10_000, async () => {
      const [row] = await shards.query(owner, `SELECT leaved_amount FROM stock WHERE ${firstRow}`);
      return Number(row?.['leaved_amount']) === UNITS / 2;
    });
    // As if these three had been restocked when the row was empty.
    const later = 'SYSDATE(6) + INTERVAL 1900000 MICROSECOND';
    await shards.query(owner, `UPDATE stock SET sellable_from = ${later}, version = version + 1 WHERE ${firstRow}`);
    const refused = await gateway.post('/v1/deductions', {
      order_id: fresh('cart'),
      lines: [
        { sku_id, order_detail_id: idIn(0, 'undone'), quantity: UNITS / 2 },
        { sku_id: scarce, order_detail_id: 'too many', quantity: 2 },
      ],
    });
    expect(refused.body?.lines, refused.text).to.have.length(1);
    expect((refused.body?.lines as object[])[0]).to.include({ sku_id: scarce, code: 'insufficient_stock' });
    // The cart moved the three units of the second row to the first, and left them there.
    const order = await gateway.deduct({ sku_id, order_detail_id: idIn(1, 'after'), quantity: UNITS / 2 });
    expect(order.status, order.text).to.equal(201);
  });

  it('lets no rebalance fill up a row whose new units are delayed', () => {
    const row = { epoch: 1, isOpen: true, held_amount: 0, version: 1 };
    const delayed = { ...row, shard: 0, sub_row: 0, leaved_amount: 5, sellable_amount: 0 };
    const sellable = { ...row, shard: 1, sub_row: 1, leaved_amount: 4, sellable_amount: 4 };
    expect(planRebalance([delayed, sellable], [], () => true).moves).to.deep.equal([]);
    const empty = { ...delayed, leaved_amount: 0 };
    expect(planRebalance([empty, sellable], [], () => true).moves).to.have.length(1);
  });
});
