import { expect } from 'chai';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { changeBench } from '../../support/systems/primaryChange.ts';
import type { ChangeBench } from '../../support/systems/primaryChange.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const CONNECTIONS = 60;
const ROUNDS = process.env['STOCKGATE_TEST_LONG'] === '1' ? 20 : 2;
/** For this long a gateway was once observed to answer from a former primary. */
const WATCHED_MS = process.env['STOCKGATE_TEST_LONG'] === '1' ? 6_000 : 3_000;
const SOON_MS = 30_000;
/** SKUs that are sold out before each change, and restocked and ordered after it. */
const SKUS = 20;
const RESTOCK = 100_000;

const isForeign =
  process.env['STOCKGATE_MYSQL_SERVERS'] !== undefined || process.env['STOCKGATE_MYSQL_IMAGE'] !== undefined;
const isMariaDb = process.env['STOCKGATE_SERVER'] === 'mariadb';

/** Numbers of answers of the gateway after the change, by kind. */
interface Counts {
  sold: number;
  found: number;
  amounts: number;
  notDone: number;
}

// Replicas are made only for MySQL servers of our own.
(isForeign || isMariaDb ? describe.skip : describe)(
  'a change of primary that leaves old connections open',
  function () {
    this.timeout(ROUNDS * 60_000 + 120_000);
    let bench: ChangeBench;
    before(async () => {
      bench = await changeBench(CONNECTIONS);
    });
    after(() => bench?.stop());

    /** Uses all connections of the gateway at once, so that all of them are open. */
    async function openAll({ gateway }: ChangeBench, sku_ids: readonly string[]): Promise<void> {
      const open = async (): Promise<number> =>
        (await gateway.adminGet('/v1/shards')).body.shards.reduce(
          (sum: number, { pool }: { pool: { open: number } }) => sum + pool.open,
          0,
        );
      await eventually('all connections are open', SOON_MS, async () => {
        await Promise.all(
          Array.from({ length: 300 }, (_, place) => gateway.get(`/v1/skus/${sku_ids[place % sku_ids.length]}`)),
        );
        return (await open()) === CONNECTIONS;
      });
    }

    /**
     * Sells through another gateway, then reads these sales through the gateway with connections to the former primary.
     */
    async function watch(
      direct: TestGateway,
      sku_ids: readonly string[],
      accepted: string[][],
    ): Promise<{ readonly faults: string[]; readonly counts: Counts }> {
      const { gateway } = bench;
      const faults: string[] = [];
      const counts: Counts = { sold: 0, found: 0, amounts: 0, notDone: 0 };
      const fixed = new Map<string, { readonly sold: string; readonly left: number }>();
      for (const [place, sku_id] of sku_ids.entries()) {
        const adjusted = await direct.adminPost(`/v1/skus/${sku_id}/adjustments`, {
          adjustment_id: fresh('restock'),
          delta: RESTOCK,
        });
        expect(adjusted.status, adjusted.text).to.equal(201);
        const sold = fresh('sold');
        expect((await direct.deduct({ sku_id, order_detail_id: sold, quantity: 1 })).status).to.equal(201);
        // Every second SKU gets no further orders, so its units left are fixed; -1 marks the others.
        if (place % 2 === 1) fixed.set(sku_id, { sold, left: RESTOCK - 1 });
        else fixed.set(sku_id, { sold, left: -1 });
      }
      const note = (status: number, counted: keyof Counts): void =>
        void (counts[status === 503 ? 'notDone' : counted] += 1);
      const customer = async (own: number, untilMs: number): Promise<void> => {
        for (let turn = own; performance.now() < untilMs; turn += 1) {
          const sku_id = sku_ids[turn % sku_ids.length] ?? '';
          const known = fixed.get(sku_id);
          if (known === undefined) throw new Error('every SKU is known');
          const looked = await gateway.post('/v1/deductions/lookup', {
            lines: [{ sku_id, order_detail_id: known.sold }],
          });
          note(looked.status, 'found');
          if (looked.status === 200 && looked.body.lines[0].status !== 'deducted')
            faults.push(`look-up of a sold order: ${looked.body.lines[0].status}`);
          if (known.left >= 0) {
            const { status, body } = await gateway.get(`/v1/skus/${sku_id}`);
            note(status, 'amounts');
            if (status === 200 && body.leaved_amount !== known.left)
              faults.push(`left: ${body.leaved_amount}, expected ${known.left}`);
            continue;
          }
          const order_detail_id = fresh('order');
          const answer = await gateway.deduct({ sku_id, order_detail_id, quantity: 1 });
          note(answer.status, 'sold');
          if (answer.status === 201) accepted.push([sku_id, order_detail_id]);
          else if (answer.status !== 503) faults.push(`an order that fits: ${answer.status} ${answer.body.code}`);
        }
      };
      const untilMs = performance.now() + WATCHED_MS;
      await Promise.all(Array.from({ length: CONNECTIONS }, (_, own) => customer(own, untilMs)));
      return { faults, counts };
    }

    for (let round = 1; round <= ROUNDS; round += 1) {
      it(`causes no false answer, round ${round}`, async () => {
        const { gateway } = bench;
        const sku_ids = Array.from({ length: SKUS }, (_, place) =>
          skuOn(place % bench.shards, fresh('goods'), bench.shards),
        );
        const accepted: string[][] = [];
        for (const sku_id of sku_ids) {
          await gateway.openSku(sku_id, 1);
          expect((await gateway.deduct({ sku_id, order_detail_id: 'first', quantity: 1 })).status).to.equal(201);
        }
        await openAll(bench, sku_ids);
        // Look-ups and reads go on while the primary changes.
        let changing = true;
        const meanwhile = Array.from({ length: 20 }, async (_, own) => {
          while (changing) {
            const sku_id = sku_ids[own] ?? '';
            const [looked, left] = await Promise.all([
              gateway.post('/v1/deductions/lookup', { lines: [{ sku_id, order_detail_id: 'first' }] }),
              gateway.get(`/v1/skus/${sku_id}`),
            ]);
            if (looked.status === 200) expect(looked.body.lines[0].status).to.equal('deducted');
            if (left.status === 200) expect(left.body.leaved_amount).to.equal(0);
          }
        });
        const direct = await bench.change();
        changing = false;
        await Promise.all(meanwhile);

        const { faults, counts } = await watch(direct, sku_ids, accepted);
        console.error(`      after the change: ${JSON.stringify(counts)}, false: ${faults.length}`);
        expect(faults).to.deep.equal([]);
        expect(counts.sold + counts.found + counts.amounts).to.be.above(0);
        for (let shard = 0; shard < bench.shards; shard += 1) {
          const rows = await bench.query(shard, 'SELECT sku_id, order_detail_id FROM flow');
          const there = new Set(rows.map((row) => `${String(row['sku_id'])} ${String(row['order_detail_id'])}`));
          const ofShard = sku_ids.filter((_, place) => place % bench.shards === shard);
          expect(
            accepted.filter(
              ([sku_id = '', order_detail_id = '']) =>
                ofShard.includes(sku_id) && !there.has(`${sku_id} ${order_detail_id}`),
            ),
          ).to.deep.equal([]);
        }
        await bench.followNew();
        await eventually('all shards are served', SOON_MS, async () =>
          (await gateway.adminGet('/v1/shards')).body.shards.every(
            ({ state }: { state: string }) => state === 'serving',
          ),
        );
      });
    }
  },
);
