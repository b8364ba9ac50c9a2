import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { freePort } from '../../scripts/cluster/port.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { skuOn } from '../support/engines/traffic.ts';

/** More holds than the journal reads at a time. */
const MANY = 250;
/** The shards of the held SKU, and of the records. */
const [HELD, RECORDS] = [0, 1] as const;

/** Too young for every sweeper. */
const LATER = 'NOW(6) + INTERVAL 1 HOUR';

/** The rows of one protocol for holds that are too young for every sweeper. */
interface Rows {
  readonly name: string;
  /** The statement that writes the record; null: such an order has none. */
  record(order_id: string, id: string, state: string): string | null;
  /** The values of the columns attempt, transaction_id and coordinator. */
  columns(id: string): string;
}

const ROWS: readonly Rows[] = [
  {
    name: 'carts',
    record: (order_id, _, state) =>
      `INSERT INTO cart (order_id, attempt, token, order_lines, state, created_at)
       VALUES ('${order_id}', 1, 'token', '[]', '${state}', NOW(6) + INTERVAL 1 HOUR)`,
    columns: () => '1, NULL, NULL',
  },
  {
    name: 'transactions',
    record: (order_id, id, state) =>
      state === 'open'
        ? null
        : `INSERT INTO order_record (transaction_id, state, order_id, order_lines)
           VALUES (X'${id}', '${state}', '${order_id}', '[]')`,
    columns: (id) => `0, X'${id}', ${RECORDS}`,
  },
];

for (const { name, record, columns } of ROWS) {
  describe(`the journal of a SKU with units held by ${name}`, () => {
    let own: OwnShards;
    let gateway: TestGateway;
    before(async () => {
      own = await ownShards({ count: 2, migrated: true });
      gateway = await startTestGateway({}, own);
    });
    after(async () => {
      await gateway.stop();
      await own.drop();
    });

    const read = (from: TestGateway, sku_id: string, query = '') => from.get(`/v1/skus/${sku_id}/flows${query}`);
    /** Repeats a request until its answer is definite, as shops do. */
    const definiteAnswer = async (send: () => ReturnType<TestGateway['get']>): ReturnType<TestGateway['get']> => {
      let answer = await send();
      while (answer.status === 503) answer = await send();
      return answer;
    };

    /** Opens a SKU on the first shard, all held by carts with records on the second, too young for every sweeper. */
    async function openHeld(
      carts: readonly { readonly state: string; readonly details: readonly string[] }[],
    ): Promise<string> {
      const sku_id = skuOn(0, fresh('held'), 2);
      const units = carts.reduce((sum, { details }) => sum + details.length, 0);
      await own.query(
        0,
        `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount, held_amount)
         VALUES ('${sku_id}', 0, ${units}, 0, ${units})`,
      );
      for (const { state, details } of carts) {
        const order_id = skuOn(1, fresh('order'), 2);
        const rows = (form: (detail: string) => string): string => details.map(form).join();
        const id = newTransaction();
        const recorded = record(order_id, id, state);
        if (recorded !== null) await own.query(RECORDS, recorded);
        await own.query(
          HELD,
          `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, status, attempt, transaction_id, coordinator)
           VALUES ${rows((detail) => `('${sku_id}', '${detail}', '${order_id}', 1, 'pending', ${columns(id)})`)}`,
        );
        await own.query(
          HELD,
          `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, created_at, attempt, transaction_id, coordinator)
           VALUES ${rows((detail) => `('${sku_id}', '${detail}', '${order_id}', ${LATER}, ${columns(id)})`)}`,
        );
      }
      return sku_id;
    }

    it('is unavailable while the record of a cart cannot be read, because the cart may be sold', async () => {
      const sku_id = await openHeld([
        { state: 'committed', details: ['sold'] },
        { state: 'open', details: ['undecided'] },
      ]);
      const port = (await own.load())[1]?.address.port;
      const closed = await freePort();
      own.rewrite(({ shards: [, second] }) => Object.assign(second?.primary ?? {}, { port: closed }));
      const halfConnected = await startTestGateway({}, own);
      own.rewrite(({ shards: [, second] }) => Object.assign(second?.primary ?? {}, { port }));
      try {
        const { status, body } = await read(halfConnected, sku_id);
        expect([status, body.code]).to.deep.equal([503, 'overloaded']);
      } finally {
        await halfConnected.stop();
      }
      const { status, body } = await definiteAnswer(() => read(gateway, sku_id));
      expect([status, body.flows?.map((entry: { order_detail_id?: string }) => entry.order_detail_id)]).to.deep.equal([
        200,
        ['sold', undefined],
      ]);
    });

    it('lists every sale that was answered, however many undecided holds come before it', async () => {
      const undecided = Array.from({ length: MANY }, (_, index) => `a-${index}`);
      const sold = Array.from({ length: MANY }, (_, index) => `b-${index}`);
      const sku_id = await openHeld([
        { state: 'open', details: undecided },
        { state: 'committed', details: sold },
      ]);
      const { body } = await definiteAnswer(() => read(gateway, sku_id, '?limit=500'));
      const kinds = body.flows.map(({ kind }: { kind: string }) => kind) as string[];
      expect([kinds.filter((kind) => kind === 'deduction').length, kinds.length]).to.deep.equal([MANY, MANY + 1]);
      expect(body.next_cursor).to.equal(null);
    });

    it('lists such sales also on later pages', async () => {
      const sku_id = await openHeld([{ state: 'committed', details: ['early'] }]);
      await own.query(0, `UPDATE flow SET created_at = created_at - INTERVAL 1 MINUTE WHERE sku_id = '${sku_id}'`);
      const adjusted = await definiteAnswer(() =>
        gateway.adminPost(`/v1/skus/${sku_id}/adjustments`, { adjustment_id: 'more', delta: 1 }),
      );
      expect(adjusted.status).to.be.below(300);
      const first = await definiteAnswer(() => read(gateway, sku_id, '?limit=1'));
      expect(first.body.flows[0].kind).to.equal('adjustment');
      // Answered as sold after the first page was read, and not completed yet.
      const order_id = skuOn(1, fresh('order'), 2);
      const id = newTransaction();
      await own.query(RECORDS, record(order_id, id, 'committed') ?? '');
      await own.query(
        HELD,
        `UPDATE stock SET opening_amount = opening_amount + 1, held_amount = held_amount + 1
         WHERE sku_id = '${sku_id}'`,
      );
      await own.query(
        HELD,
        `INSERT INTO flow
           (sku_id, order_detail_id, order_id, quantity, status, created_at, attempt, transaction_id, coordinator)
         VALUES ('${sku_id}', 'late', '${order_id}', 1, 'pending', NOW(6) - INTERVAL 1 HOUR, ${columns(id)})`,
      );
      await own.query(
        HELD,
        `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, created_at, attempt, transaction_id, coordinator)
         VALUES ('${sku_id}', 'late', '${order_id}', NOW(6) + INTERVAL 1 HOUR, ${columns(id)})`,
      );
      const { body } = await definiteAnswer(() => read(gateway, sku_id, `?cursor=${first.body.next_cursor as string}`));
      expect(body.flows.map((entry: { order_detail_id?: string }) => entry.order_detail_id)).to.deep.equal([
        'early',
        'late',
        undefined,
      ]);
    });
  });
}

/** A transaction that began now, so that none aborts it soon. */
function newTransaction(): string {
  return Date.now().toString(16).padStart(12, '0') + randomBytes(10).toString('hex');
}
