import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { readBooks } from '../../scripts/support/books.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import { journalPromises } from '../support/engines/journalPromises.ts';
import type { JournalBench } from '../support/engines/journalPromises.ts';
import { fillJournal } from '../support/rows/longJournal.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';

const SIZE = { busyFlows: 30_000, otherSkus: 100, otherFlows: 200, pointers: 20_000 };

/** `test/long/flowsAtSize.test.ts` does the same with ten million flows. */
describe('pages of a SKU with 30,000 flows, beside 20,000 flows of other SKUs', () => {
  let own: OwnShards;
  let bench: JournalBench | null = null;
  const made = (): JournalBench => bench ?? expect.fail('the journal was not filled');

  before(async () => {
    own = await ownShards({ count: 1, migrated: true });
    const { address } = (await own.load())[0] ?? expect.fail('no shard');
    const { host, port, user, password, schema: database } = address;
    const session = await mysql.createConnection({ host, port, user, password, database });
    const shape = async (): Promise<unknown> => (await session.query('SHOW INDEX FROM flow'))[0];
    const before = JSON.stringify(await shape(), withoutCounts);
    await fillJournal(session, SIZE, () => undefined);
    expect(JSON.stringify(await shape(), withoutCounts), 'the index is the one that the migrations create').to.equal(
      before,
    );
    session.destroy();
    bench = { gateway: await startTestGateway({}, own), address, size: SIZE };
  });
  after(async () => {
    await bench?.gateway.stop();
    await own.drop();
  });

  journalPromises(made);

  it('come from a shard whose books balance', async () => {
    const [books] = await readBooks({ shards: await own.load(), initialShards: 1 });
    expect(books?.differences).to.deep.equal([]);
    expect(books?.sku_count).to.equal(SIZE.otherSkus + 2);
  });
});

/** Drops the number of values of an index, which depends on the rows. */
function withoutCounts(key: string, value: unknown): unknown {
  return key === 'Cardinality' ? null : value;
}
