import { expect } from 'chai';
import mysql from 'mysql2/promise';
import {
  packetBytesOf,
  LARGEST_PACKET_BYTES,
  LONGEST_LINES_MAX,
  longestLine,
} from '../../src/mysql/batching/largestPacket.ts';
import { partValues } from '../../src/mysql/sql/batch/applyBatch.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { stack } from '../support/run/setup.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARDS = 2;
/** Long enough for a busy machine. A gateway checks each shard every half second. */
const SOON_MS = 10_000;
const PASSWORD = 'only-for-tests';

/** A setting, a value that breaks a promise, and the reason that operators read. */
interface WrongSetting {
  readonly name: string;
  readonly value: number | string;
  readonly only?: 'mysql' | 'mariadb';
  /** The value to restore. Absent: the value that the server had before. */
  readonly usual?: string;
  readonly reason: string | RegExp;
}

const SMALL = 4_194_304;
const WRONG_SETTINGS: readonly WrongSetting[] = [
  { name: 'read_only', value: 1, reason: 'the server takes no writes: read_only = 1 (needed: 0)' },
  {
    name: 'super_read_only',
    value: 1,
    only: 'mysql',
    reason: 'the server takes no writes: read_only = 1 (needed: 0), super_read_only = 1 (needed: 0)',
  },
  {
    name: 'transaction_read_only',
    value: 1,
    only: 'mysql',
    reason: /^the server takes no writes: transaction_read_only = 1 \(needed: 0\)/,
  },
  {
    name: 'tx_read_only',
    value: 1,
    only: 'mariadb',
    reason: /^the server takes no writes: tx_read_only = 1 \(needed: 0\)/,
  },
  {
    name: 'binlog_format',
    value: "'STATEMENT'",
    usual: "'ROW'",
    reason: /^replicas would not get the rows that were written: binlog_format = STATEMENT \(needed: ROW\)/,
  },
  {
    name: 'max_allowed_packet',
    value: SMALL,
    reason: new RegExp(
      `^the longest batch does not fit into a packet: max_allowed_packet = ${SMALL} ` +
        `\\(needed: at least ${LARGEST_PACKET_BYTES}\\)`,
    ),
  },
  { name: 'sync_binlog', value: 0, reason: 'commits may be lost with the power: sync_binlog = 0 (needed: 1)' },
];

describe('the check of server settings', () => {
  const product = (): 'mysql' | 'mariadb' => (/mariadb/i.test(stack().cluster.product) ? 'mariadb' : 'mysql');
  let own: OwnShards;
  let gateway: TestGateway;
  let user: string;

  before(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    user = fresh('gateway').slice(0, 32);
    for (const [shard, { address }] of (await own.load()).entries()) {
      await own.query(shard, `CREATE USER '${user}'@'%' IDENTIFIED BY '${PASSWORD}'`);
      // No right to write on a read-only server.
      await own.query(
        shard,
        `GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON \`${address.schema}\`.* TO '${user}'@'%'`,
      );
    }
    own.rewrite(({ shards }) => shards.forEach(({ primary }) => (primary.user = user)));
    gateway = await startTestGateway({}, { environment: { ...own.environment, STOCKGATE_MYSQL_PASSWORD: PASSWORD } });
  });
  after(async () => {
    await gateway?.stop();
    for (let shard = 0; shard < SHARDS; shard += 1) await own.query(shard, `DROP USER '${user}'@'%'`);
    await own.drop();
  });

  const sku = (shard: number): string => skuOn(shard, fresh('settings'), SHARDS);
  const stateOf = async (shard: number): Promise<{ state: string; reason: string | null }> =>
    (await gateway.adminGet('/v1/shards')).body.shards[shard];
  const isServing = async (shard: number): Promise<boolean> => (await stateOf(shard)).state === 'serving';
  const valueOf = async (shard: number, name: string): Promise<number | string> =>
    Object.values((await own.query(shard, `SELECT @@GLOBAL.${name}`))[0] ?? {})[0] as number | string;
  const ready = async (): Promise<number> => (await gateway.adminGet('/readyz')).status;

  /** Sets a global variable of the server of shard 0 for a while. */
  async function withSetting({ name, value, usual }: WrongSetting, work: () => Promise<void>): Promise<void> {
    const before = usual ?? (await valueOf(0, name));
    await own.query(0, `SET GLOBAL ${name} = ${value}`);
    try {
      await work();
    } finally {
      await own.query(0, `SET GLOBAL ${name} = ${before}`);
      // MySQL sets `read_only` together with `super_read_only`.
      if (name === 'super_read_only') await own.query(0, 'SET GLOBAL read_only = 0');
    }
    await eventually('it is served again', SOON_MS, () => isServing(0));
  }

  const expectRefused = async (reason: string | RegExp): Promise<void> => {
    await eventually('it is refused', SOON_MS, async () => (await stateOf(0)).state === 'refused');
    const shown = (await stateOf(0)).reason ?? '';
    if (typeof reason === 'string') expect(shown).to.equal(reason);
    else expect(shown).to.match(reason);
  };

  for (const wrong of WRONG_SETTINGS) {
    it(`refuses a shard with ${wrong.name} = ${wrong.value}, and serves it again after the repair`, async function () {
      if (wrong.only !== undefined && wrong.only !== product()) return this.skip();
      const sku_id = sku(0);
      await gateway.openSku(sku_id, 5);
      await withSetting(wrong, async () => {
        await expectRefused(wrong.reason);
        const answer = await gateway.deduct({ sku_id, order_detail_id: fresh('detail'), quantity: 1 });
        expect(answer.body.code).to.equal('overloaded');
        expect(
          (await gateway.post('/v1/deductions/lookup', { lines: [{ sku_id, order_detail_id: 'never' }] })).body.code,
        ).to.equal('overloaded');
        // The settings of the other server are correct.
        expect(await isServing(1)).to.equal(true);
        expect(await ready()).to.equal(200);
      });
      expect((await gateway.deduct({ sku_id, order_detail_id: fresh('detail'), quantity: 1 })).status).to.equal(201);
    });
  }

  it('makes a gateway not ready for as long as it can write to no shard', async () => {
    const both = async (value: 0 | 1): Promise<void> => {
      for (let shard = 0; shard < SHARDS; shard += 1) await own.query(shard, `SET GLOBAL read_only = ${value}`);
    };
    await both(1);
    try {
      await eventually('it is not ready', SOON_MS, async () => (await ready()) === 503);
      expect((await gateway.adminGet('/healthz')).status).to.equal(200);
    } finally {
      await both(0);
    }
    await eventually('it is ready again', SOON_MS, async () => (await ready()) === 200 && (await isServing(0)));
  });

  it('opens no connection to a read-only server for a request, only one check every half second', async () => {
    const count = async (): Promise<number> => {
      const [row] = await own.query(0, "SHOW GLOBAL STATUS LIKE 'Connections'");
      return Number(row?.['Value']);
    };
    const sku_id = sku(0);
    await gateway.openSku(sku_id, 5);
    await withSetting({ name: 'read_only', value: 1, reason: '' }, async () => {
      await expectRefused(/^the server takes no writes/);
      const beganMs = performance.now();
      const before = await count();
      const answers = await Promise.all(Array.from({ length: 200 }, () => gateway.get(`/v1/skus/${sku_id}`)));
      expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([503]));
      const checks = Math.ceil((performance.now() - beganMs) / 500) + 1;
      // The two statements that count need a connection each.
      expect((await count()) - before).to.be.at.most(checks + 2);
    });
  });
});

describe('the longest packet', () => {
  it('is longer than any batch of the most lines, and fits the default limit of a server', () => {
    const letters = Array.from({ length: 26 }, (_, place) => String.fromCharCode(97 + place));
    const lines = Array.from({ length: LONGEST_LINES_MAX }, (_, place) => longestLine(letters[place % letters.length]));
    type Kind = 'flows' | 'stockRows' | 'returns' | 'adjustments' | 'transfers' | 'completedHolds' | 'records';
    const all = <K extends Kind>(kind: K) => lines.flatMap((line) => line[kind] as readonly unknown[]) as never;
    const writes = {
      flows: all('flows'),
      stockRows: all('stockRows'),
      returns: all('returns'),
      adjustments: all('adjustments'),
      transfers: all('transfers'),
      completedHolds: all('completedHolds'),
      records: all('records'),
    };
    const bytes = packetBytesOf(
      partValues(
        '2026-11-20 10:00:00.000000',
        lines.flatMap(({ stockRows }) => stockRows.map(({ sku_id }) => sku_id)),
        writes,
      ),
    );
    expect(bytes)
      .to.be.below(LARGEST_PACKET_BYTES)
      .and.above(LARGEST_PACKET_BYTES * 0.9);
    // MariaDB's default is 16 MiB, MySQL's four times as much.
    expect(LARGEST_PACKET_BYTES).to.be.below(16 * 1_024 * 1_024);
  });

  it('is counted in the bytes that the driver writes', () => {
    const values = partValues('2026-11-20 10:00:00.000000', ['s'], longestLine());
    const written = mysql.format(values.map(() => '?').join(', '), values as never[]);
    expect(Buffer.byteLength(written)).to.be.within(packetBytesOf(values) - 2, packetBytesOf(values));
  });
});
