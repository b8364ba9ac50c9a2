import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import { openReportShards } from '../../src/mysql/books/reportShards.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { reconcile } from '../../src/service/reconcile/reconcile.ts';
import { Routing } from '../../src/service/routing/routing.ts';
import { runFile } from '../support/run/command.ts';
import type { Finished } from '../support/run/command.ts';
import { ADMIN_ROUTES, expectDeclared } from '../support/gateway/contract.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import {
  abortedRecord,
  differenceTexts,
  heldFlow,
  holdRow,
  oneHeld,
  returnOfNothing,
} from '../support/rows/plantedDifferences.ts';
import type { ReportedDifference } from '../support/rows/plantedDifferences.ts';
import { startTradingClients } from '../support/systems/tradingClients.ts';
import { skuOn } from '../support/engines/traffic.ts';

const SHARDS = 3;
const TRAFFIC_MS = process.env['STOCKGATE_TEST_LONG'] === '1' ? 20_000 : 2_500;
const CLIENTS = 4;

describe('reconciliation', () => {
  let own: OwnShards;
  let gateway: TestGateway;

  beforeEach(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    gateway = await startTestGateway({}, own);
  });
  afterEach(async () => {
    await gateway.stop();
    await own.drop();
  });

  const sku = (shard: number, name: string): string => skuOn(shard, fresh(name), SHARDS);
  const command = (...args: string[]): Promise<Finished> => runFile('src/commands/reconcile.ts', args, own.environment);
  const reported = ({ stdout, stderr }: Finished): ReportedDifference[] => {
    expect(stdout, stderr).to.match(/^\{/);
    return JSON.parse(stdout).differences as ReportedDifference[];
  };
  const ask = async (body: unknown = {}) => {
    const answer = await gateway.adminPost('/v1/reconciliations', body);
    expectDeclared(ADMIN_ROUTES, 'POST', '/v1/reconciliations', answer);
    return answer;
  };
  /** Sends the same request until its outcome is definite. */
  const send = async (path: string, body: unknown): Promise<number> => {
    for (;;) {
      const { status } = await gateway.post(path, body);
      if (status !== 503) return status;
    }
  };
  const sell = async (
    order_id: string,
    ...lines: readonly (readonly [sku_id: string, order_detail_id: string, quantity: number])[]
  ): Promise<void> => {
    const status = await send('/v1/deductions', {
      order_id,
      lines: lines.map(([sku_id, order_detail_id, quantity]) => ({ sku_id, order_detail_id, quantity })),
    });
    expect(status).to.be.oneOf([200, 201]);
  };
  const plant = async (shard: number, ...statements: readonly string[]): Promise<void> => {
    for (const sql of statements) await own.query(shard, sql);
  };

  it('reports planted differences of every kind, with the flows behind them', async function () {
    this.timeout(120_000);
    // Its orders over several shards are carts with attempts.
    await gateway.stop();
    gateway = await startTestGateway({ STOCKGATE_ENGINE: 'textbook' }, own);
    const [left, heldOnly, back, ghost] = [sku(0, 'left'), sku(1, 'held'), sku(2, 'back'), sku(0, 'ghost')];
    const [alone, orphan, late, lost] = [sku(1, 'alone'), sku(2, 'orphan'), sku(0, 'late'), sku(1, 'lost')];
    const [here, there] = [sku(0, 'here'), sku(1, 'there')];
    for (const sku_id of [left, heldOnly, back, ghost, alone, orphan, late, lost, here, there])
      await gateway.openSku(sku_id, 50);
    const [gone, aborted, bare] = [sku(2, 'gone'), sku(2, 'aborted'), sku(1, 'bare')];
    const decided = sku(1, 'decided');
    await sell('o-left', [left, 'd1', 2], [left, 'd2', 1]);
    await sell('o-back', [back, 'd1', 5]);
    expect(await send('/v1/returns', { return_id: 'r1', sku_id: back, order_detail_id: 'd1', quantity: 1 })).to.equal(
      201,
    );
    await sell(gone, [here, 'gone', 4], [there, 'gone', 1]);
    await sell(aborted, [here, 'aborted', 2], [there, 'aborted', 3]);
    await sell(bare, [here, 'bare', 1], [there, 'bare', 1]);
    await sleep(500);
    expect((await ask()).body).to.deep.include({ differences: [], sku_count: 10, flow_count: 9 });
    // No sweeper runs while the books are wrong.
    await gateway.stop();

    await plant(0, `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${left}'`);
    await plant(1, `UPDATE stock SET held_amount = 3 WHERE sku_id = '${heldOnly}'`);
    await plant(2, `UPDATE flow_return SET quantity = 2 WHERE sku_id = '${back}'`);
    await plant(0, returnOfNothing(ghost, 6));
    await plant(1, heldFlow(alone, 'single'), oneHeld(alone));
    await plant(2, holdRow(orphan, 'unknown', 60));
    await plant(0, heldFlow(late, decided), oneHeld(late), holdRow(late, decided, 60));
    await plant(1, abortedRecord(decided));
    await plant(1, heldFlow(lost, 'unrecorded'), oneHeld(lost), holdRow(lost, 'unrecorded', 60));
    await plant(
      0,
      `DELETE FROM flow WHERE order_detail_id = 'gone'`,
      `UPDATE stock SET leaved_amount = leaved_amount + 4 WHERE sku_id = '${here}'`,
    );
    await plant(2, `UPDATE cart SET state = 'aborted' WHERE order_id = '${aborted}'`);
    await plant(1, `UPDATE cart SET state = 'aborted', order_lines = '[]' WHERE order_id = '${bare}'`);

    const all = [
      `leaved_amount | shard 0 | ${left} | 48 instead of 47 | d2+d1 | `,
      `held_amount | shard 1 | ${heldOnly} | 3 instead of 0 |  | `,
      `returned | shard 2 | ${back} | 1 instead of 2 | d1 | `,
      `returned | shard 0 | ${ghost} | 0 instead of 6 | never sold | `,
      `hold_row | shard 1 | ${alone} | 0 instead of 1 | d-single | `,
      `hold_row | shard 2 | ${orphan} | 1 instead of 0 | d-unknown | `,
      `hold_left | shard 0 | ${late} | 1 instead of 0 | d-${decided} | ${decided} 1`,
      `hold_left | shard 1 | ${lost} | 1 instead of 0 | d-unrecorded | unrecorded 1`,
      `cart_line | shard 0 | ${here} | 0 instead of 4 | gone | ${gone} 1`,
      `aborted_line | shard 0 | ${here} | 2 instead of 0 | aborted | ${aborted} 1`,
      `aborted_line | shard 1 | ${there} | 3 instead of 0 | aborted | ${aborted} 1`,
      `aborted_line | shard 0 | ${here} | 1 instead of 0 | bare | ${bare} 1`,
      `aborted_line | shard 1 | ${there} | 1 instead of 0 | bare | ${bare} 1`,
    ].sort();
    const found = await command('--json');
    expect(differenceTexts(reported(found))).to.deep.equal(all);
    expect([found.code, found.stderr]).to.satisfy(
      ([code, stderr]: [number, string]) => code === 1 && stderr.includes('13 differences, 13 not repaired'),
    );

    const one = await command('--sku', here);
    expect(one.code).to.equal(1);
    for (const part of [
      'cart_line',
      'aborted_line',
      here,
      'own-0',
      `bare of order ${bare}, attempt 1`,
      '3 differences',
    ])
      expect(one.stdout).to.contain(part);
    expect(one.stdout).not.to.contain(there);
    expect(one.stderr).to.match(/reconciling .*shards/);

    // A repair changes the units left, and no other difference.
    const repaired = reported(await command('--repair', '--json')).filter(
      ({ adjustment_id }) => adjustment_id !== null,
    );
    expect(repaired.map(({ kind, sku_id }) => [kind, sku_id])).to.deep.equal([['leaved_amount', left]]);
    expect(differenceTexts(reported(await command('--json')))).to.deep.equal(
      all.filter((line) => !line.startsWith('leaved_amount')),
    );
  });

  it('finds no difference while orders, carts, returns and cancellations go on', async () => {
    const skus = await Promise.all(
      [0, 1, 2, 0, 1, 2].map(async (shard) => {
        const sku_id = sku(shard, 'busy');
        await gateway.openSku(sku_id, 100);
        return sku_id;
      }),
    );
    const clients = startTradingClients(gateway, skus, CLIENTS);
    const untilMs = performance.now() + TRAFFIC_MS;
    let reads = 0;
    try {
      while (performance.now() < untilMs || reads < 2) {
        const answer = await ask(reads % 2 === 0 ? {} : { sku_id: skus[reads % skus.length] });
        expect([answer.status, answer.body.differences], answer.text).to.deep.equal([200, []]);
        reads += 1;
      }
      expect(reported(await command('--json'))).to.deep.equal([]);
    } finally {
      await clients.stop();
    }
    expect(clients.sent()).to.be.above(20);
  });

  it('repairs once, by an adjustment: the row does not change, and the next run finds no difference', async () => {
    const [above, below, fine] = [sku(0, 'above'), sku(1, 'below'), sku(2, 'fine')];
    for (const sku_id of [above, below, fine]) await gateway.openSku(sku_id, 9);
    await sell('o1', [above, 'd1', 2]);
    await plant(0, `UPDATE stock SET leaved_amount = leaved_amount + 3 WHERE sku_id = '${above}'`);
    await plant(1, `UPDATE stock SET leaved_amount = leaved_amount - 4 WHERE sku_id = '${below}'`);
    const words = [
      `leaved_amount | shard 0 | ${above} | 10 instead of 7 | d1 | `,
      `leaved_amount | shard 1 | ${below} | 5 instead of 9 |  | `,
    ];
    expect(differenceTexts((await ask()).body.differences as ReportedDifference[])).to.deep.equal(words);
    expect(differenceTexts((await ask({ sku_id: below })).body.differences as ReportedDifference[])).to.deep.equal(
      words.slice(1),
    );

    const first = await command('--repair');
    expect([first.code, first.stderr.includes('not repaired')], first.stderr).to.deep.equal([0, false]);
    expect(first.stdout.match(/reconcile-\d{8}T\d{9}Z-\d/g)).to.have.length(2);
    for (const again of [await command('--repair'), await command()]) {
      expect(again.code, again.stderr).to.equal(0);
      expect(again.stdout.match(/in order/g)).to.have.length(SHARDS);
    }
    const { flows } = (await gateway.get(`/v1/skus/${above}/flows`)).body as {
      flows: { kind: string; effect: number; reason?: string }[];
    };
    expect(flows.map(({ kind, effect }) => [kind, effect])).to.deep.equal([
      ['adjustment', 3],
      ['deduction', -2],
      ['opening', 9],
    ]);
    expect(flows[0]?.reason).to.equal('reconciliation: 10 left by the row, 7 by its journal');
    for (const [sku_id, amount] of [
      [above, 10],
      [below, 5],
      [fine, 9],
    ] as const) {
      expect((await gateway.get(`/v1/skus/${sku_id}`)).body.leaved_amount).to.equal(amount);
    }
    expect((await ask()).body.differences).to.deep.equal([]);
  });

  it('neither reports nor repairs a difference that ends between the two reads', async () => {
    const sku_id = sku(1, 'transient');
    await gateway.openSku(sku_id, 9);
    await plant(1, `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${sku_id}'`);
    const books = openReportShards({
      shards: await own.load(),
      initialShards: SHARDS,
      statementMs: 5_000,
      relaxedAllowed: true,
    });
    const seen: string[] = [];
    let ended: Promise<void> | null = null;
    class Watched extends ShardAuditor {
      override async audit(...given: Parameters<ShardAuditor['audit']>): ReturnType<ShardAuditor['audit']> {
        const audit = await super.audit(...given);
        seen.push(...audit.differences.map(({ kind }) => kind));
        if (seen.length > 0)
          ended ??= plant(1, `UPDATE stock SET leaved_amount = leaved_amount - 1 WHERE sku_id = '${sku_id}'`);
        return audit;
      }
    }
    try {
      const reader = new ShardReader(books.shards);
      const parts = {
        routing: new Routing(new SlotMap(SHARDS), reader, SHARDS),
        auditor: new Watched(books.shards),
        reader,
      };
      const result = await reconcile(parts, {
        shardCount: SHARDS,
        sku_id: null,
        deadlineMs: performance.now() + 30_000,
        repairIdPrefix: 'mend',
      });
      await Promise.resolve(ended);
      expect(seen).to.deep.equal(['leaved_amount']);
      expect(result.is === 'reconciled' ? result.differences : result).to.deep.equal([]);
      expect(await own.query(1, 'SELECT * FROM adjustment')).to.deep.equal([]);
    } finally {
      books.close();
    }
  });

  it('rejects an unknown SKU, and gives no answer when a shard cannot be read', async () => {
    expect((await ask({ sku_id: fresh('unopened') })).body.code).to.equal('unknown_sku');
    const none = await command('--sku', 'unopened');
    expect([none.code, none.stderr.includes('no SKU is called "unopened"')]).to.deep.equal([1, true]);
    await own.query(1, 'UPDATE shard SET hash_version = 9');
    expect((await ask()).body).to.include({ code: 'overloaded', detail: 'not every shard could be read: 1' });
    const broken = await command();
    expect([broken.code, broken.stdout.match(/in order/g)?.length]).to.deep.equal([1, SHARDS - 1]);
    expect(broken.stderr).to.match(/not read: own-1 \(its hash version is 9/);
  });

  it('runs one at a time on a gateway', async () => {
    const sku_id = sku(0, 'twice');
    await gateway.openSku(sku_id, 9);
    await plant(0, `UPDATE stock SET leaved_amount = 8 WHERE sku_id = '${sku_id}'`);
    const answers = await Promise.all([ask(), ask()]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 503]);
    const busy = answers.find(({ status }) => status === 503);
    expect(busy?.body.detail).to.equal('another reconciliation is under way; try again when it has ended');
    expect((await ask()).status).to.equal(200);
  });
});
