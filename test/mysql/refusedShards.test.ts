import { expect } from 'chai';
import { GATEWAY_LEVEL } from '../../src/mysql/migrations/schemaLevel.ts';
import type { ShardsFile } from '../../src/config/shardsFile.ts';
import { ADMIN_ROUTES, expectDeclared, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { eventually } from '../support/run/eventually.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { skuOn } from '../support/engines/traffic.ts';

/** The first shard has no fault. */
const SHARDS = 9;

/** A fault of each shard but the first, the statement that causes it, and the reason that operators read. */
const FAULTS: readonly (readonly [fault: string, sql: string, reason: string])[] = [
  ['another hash', 'UPDATE shard SET hash_version = 2', "its hash version is 2, this gateway's is 1"],
  ['another position in the list', 'UPDATE shard SET shard_index = 7', 'this schema holds shard 7, not 2'],
  [
    'slots assigned to another number of shards',
    'UPDATE shard SET initial_shards = 16',
    `its slots were dealt to 16 shards, the configuration says ${SHARDS}`,
  ],
  [
    'a schema for later gateways',
    `UPDATE shard SET oldest_gateway = ${GATEWAY_LEVEL + 1}`,
    `its schema serves gateways from level ${GATEWAY_LEVEL + 1} on, this one is ${GATEWAY_LEVEL}`,
  ],
  [
    'a schema of earlier gateways',
    'UPDATE shard SET schema_level = 0',
    `its schema is at 0, this gateway needs ${GATEWAY_LEVEL}: run \`npm run migrate -- up\``,
  ],
  ['a table without transactions', 'ALTER TABLE adjustment ENGINE = MyISAM', 'not InnoDB: adjustment'],
  [
    'no procedure for batches',
    'DROP PROCEDURE apply_part_6',
    'its procedure apply_part_6 is missing, or this account may not EXECUTE it',
  ],
  ['no tables', 'DROP TABLE shard', 'the schema has no tables yet: run `npm run migrate -- up`'],
];

describe('a shard that a gateway cannot serve', () => {
  let own: OwnShards;
  let gateway: TestGateway | undefined;
  const served = (): TestGateway => gateway ?? expect.fail('the gateway did not start');

  before(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    await Promise.all(FAULTS.map(([, sql], index) => own.query(index + 1, sql)));
    gateway = await startTestGateway({}, own);
  });
  after(async () => {
    await gateway?.stop();
    await own.drop();
  });

  const sku = (shard: number): string => skuOn(shard, 'unfit', own.initialShards);
  const shardState = async (shard: number): Promise<Record<string, unknown>> =>
    (await served().adminGet('/v1/shards')).body.shards[shard];

  FAULTS.forEach(([fault, , reason], index) => {
    it(`is refused for ${fault}, and operators can read the reason`, async () => {
      const shard = index + 1;
      expect(await shardState(shard)).to.include({ shard, name: `own-${shard}`, state: 'refused', reason });
      const answer = await served().deduct({ sku_id: sku(shard), order_detail_id: 'detail', quantity: 1 });
      expect(answer.body.code).to.equal('overloaded');
      expectDeclared(PUBLIC_ROUTES, 'POST', '/v1/deductions', answer);
      expect(answer.text).not.to.contain(reason);
    });
  });

  it('does not prevent the service of other shards', async () => {
    expect(await shardState(0)).to.include({ state: 'serving', reason: null });
    await served().openSku(sku(0), 1);
    expect((await served().deduct({ sku_id: sku(0), order_detail_id: 'detail', quantity: 1 })).status).to.equal(201);
    expect((await served().adminGet('/readyz')).status).to.equal(200);
  });

  it('is served as soon as it is repaired, without a restart', async () => {
    await own.query(1, 'UPDATE shard SET hash_version = 1');
    await eventually('the repaired shard is served', 5_000, async () => (await shardState(1))['state'] === 'serving');
    await served().openSku(sku(1), 1);
  });

  it('makes a gateway not ready when it can serve no shard', async () => {
    const none = await ownShards({ count: 2, migrated: true });
    none.rewrite((file: ShardsFile) => file.shards.reverse());
    const unready = await startTestGateway({}, none);
    try {
      const { body } = await unready.adminGet('/v1/shards');
      expect(body.shards.map(({ reason }: { reason: string }) => reason)).to.deep.equal([
        'this schema holds shard 1, not 0',
        'this schema holds shard 0, not 1',
      ]);
      const ready = await unready.adminGet('/readyz');
      expect(ready.body.code).to.equal('not_ready');
      expectDeclared(ADMIN_ROUTES, 'GET', '/readyz', ready);
      expect((await unready.adminGet('/healthz')).status).to.equal(200);
    } finally {
      await unready.stop();
      await none.drop();
    }
  });
});
