import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { SlotMap } from '../src/core/slots.ts';
import { ShardAuditor } from '../src/mysql/auditor.ts';
import { openBookShards } from '../src/mysql/bookShards.ts';
import { ShardReader } from '../src/mysql/shardReader.ts';
import { reconcile } from '../src/service/reconcile.ts';
import { Routing } from '../src/service/routing.ts';
import { runFile } from './support/command.ts';
import type { Finished } from './support/command.ts';
import { ADMIN_ROUTES, expectDeclared } from './support/contract.ts';
import { fresh, startTestGateway } from './support/gateway.ts';
import type { TestGateway } from './support/gateway.ts';
import { ownShards } from './support/ownShards.ts';
import type { OwnShards } from './support/ownShards.ts';
import { skuOn } from './support/traffic.ts';

const SHARDS = 3;
const TRAFFIC_MS = process.env['STOCKGATE_TEST_LONG'] === '1' ? 20_000 : 2_500;
const CLIENTS = 4;

interface Told {
  readonly kind: string;
  readonly shard: number;
  readonly sku_id: string;
  readonly expected: number;
  readonly actual: number;
  readonly flows?: readonly string[];
  readonly order_detail_ids?: readonly string[];
  readonly cart: { readonly order_id: string; readonly attempt: number } | null;
  readonly adjustment_id?: string | null;
}

const inWords = (told: readonly Told[]): string[] =>
  told
    .map(({ kind, shard, sku_id, expected, actual, flows, order_detail_ids, cart }) =>
      [
        kind,
        `shard ${shard}`,
        sku_id,
        `${actual} instead of ${expected}`,
        (flows ?? order_detail_ids ?? []).join('+'),
        cart === null ? '' : `${cart.order_id} ${cart.attempt}`,
      ].join(' | '),
    )
    .sort();

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
  const command = (...args: string[]): Promise<Finished> => runFile('scripts/reconcile.ts', args, own.environment);
  const told = ({ stdout, stderr }: Finished): Told[] => {
    expect(stdout, stderr).to.match(/^\{/);
    return JSON.parse(stdout).differences as Told[];
  };
  const ask = async (body: unknown = {}) => {
    const answer = await gateway.adminPost('/v1/reconciliations', body);
    expectDeclared(ADMIN_ROUTES, 'POST', '/v1/reconciliations', answer);
    return answer;
  };
  /** Sends the same until there is a verdict. */
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

  it('names planted differences of every kind, with the flows behind them', async function () {
    this.timeout(120_000);
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
    // Nobody sweeps while it is broken.
    await gateway.stop();

    const held = (sku_id: string, order_id: string): string =>
      `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status) VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 1, 1, 'pending')`;
    const hold = (sku_id: string, order_id: string, age = 0): string =>
      `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, created_at) VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 1, NOW(6) - INTERVAL ${age} SECOND)`;
    const oneHeld = (sku_id: string): string =>
      `UPDATE stock SET leaved_amount = leaved_amount - 1, held_amount = held_amount + 1 WHERE sku_id = '${sku_id}'`;
    await plant(0, `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${left}'`);
    await plant(1, `UPDATE stock SET held_amount = 3 WHERE sku_id = '${heldOnly}'`);
    await plant(2, `UPDATE flow_return SET quantity = 2 WHERE sku_id = '${back}'`);
    await plant(
      0,
      `INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity) VALUES ('${ghost}', 'nobody', 'r', 6)`,
    );
    await plant(1, held(alone, 'single'), oneHeld(alone));
    await plant(2, hold(orphan, 'nobody', 60));
    await plant(0, held(late, decided), oneHeld(late), hold(late, decided, 60));
    await plant(
      1,
      `INSERT INTO cart (order_id, attempt, token, state, order_lines, decided_at) VALUES ('${decided}', 1, 'token', 'aborted', '[]', NOW(6) - INTERVAL 1 MINUTE)`,
    );
    await plant(1, held(lost, 'unrecorded'), oneHeld(lost), hold(lost, 'unrecorded', 60));
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
      `returned | shard 0 | ${ghost} | 0 instead of 6 | nobody | `,
      `hold_row | shard 1 | ${alone} | 0 instead of 1 | d-single | `,
      `hold_row | shard 2 | ${orphan} | 1 instead of 0 | d-nobody | `,
      `hold_left | shard 0 | ${late} | 1 instead of 0 | d-${decided} | ${decided} 1`,
      `hold_left | shard 1 | ${lost} | 1 instead of 0 | d-unrecorded | unrecorded 1`,
      `cart_line | shard 0 | ${here} | 0 instead of 4 | gone | ${gone} 1`,
      `aborted_line | shard 0 | ${here} | 2 instead of 0 | aborted | ${aborted} 1`,
      `aborted_line | shard 1 | ${there} | 3 instead of 0 | aborted | ${aborted} 1`,
      `aborted_line | shard 0 | ${here} | 1 instead of 0 | bare | ${bare} 1`,
      `aborted_line | shard 1 | ${there} | 1 instead of 0 | bare | ${bare} 1`,
    ].sort();
    const found = await command('--json');
    expect(inWords(told(found))).to.deep.equal(all);
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
      '2 differences'.replace('2', '3'),
    ])
      expect(one.stdout).to.contain(part);
    expect(one.stdout).not.to.contain(there);
    expect(one.stderr).to.match(/reconciling .*shards/);

    // Of all that, a repair touches the amount that is left and nothing else.
    const repaired = told(await command('--repair', '--json')).filter(({ adjustment_id }) => adjustment_id !== null);
    expect(repaired.map(({ kind, sku_id }) => [kind, sku_id])).to.deep.equal([['leaved_amount', left]]);
    expect(inWords(told(await command('--json')))).to.deep.equal(
      all.filter((line) => !line.startsWith('leaved_amount')),
    );
  });

  it('finds nothing wrong while orders, carts, returns and cancellations go on', async () => {
    const skus = await Promise.all(
      [0, 1, 2, 0, 1, 2].map(async (shard) => {
        const sku_id = sku(shard, 'busy');
        await gateway.openSku(sku_id, 100);
        return sku_id;
      }),
    );
    let running = true;
    let sent = 0;
    const trade = async (client: number): Promise<void> => {
      for (let number = 0; running; number += 1) {
        const [order_id, order_detail_id] = [fresh('order'), fresh('detail')];
        const some = skus.filter((_, index) =>
          number % 3 === 0 ? index === (client + number) % skus.length : (index + client + number) % 2 === 0,
        );
        const lines = some.map((sku_id) => ({ sku_id, order_detail_id, quantity: 1 + (number % 2) }));
        const { status } = await gateway.post('/v1/deductions', { order_id, lines });
        sent += 1;
        const [first] = some;
        if (status === 201 && number % 2 === 0)
          await gateway.post('/v1/returns', { return_id: 'r', sku_id: first, order_detail_id, quantity: 1 });
        if (number % 4 !== 3)
          await gateway.post('/v1/cancellations', {
            order_id,
            lines: lines.map(({ sku_id }) => ({ sku_id, order_detail_id })),
          });
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, client) => trade(client));
    const untilMs = performance.now() + TRAFFIC_MS;
    let looks = 0;
    try {
      while (performance.now() < untilMs || looks < 2) {
        const answer = await ask(looks % 2 === 0 ? {} : { sku_id: skus[looks % skus.length] });
        expect([answer.status, answer.body.differences], answer.text).to.deep.equal([200, []]);
        looks += 1;
      }
      expect(told(await command('--json'))).to.deep.equal([]);
    } finally {
      running = false;
      await Promise.all(clients);
    }
    expect(sent).to.be.above(20);
  });

  it('repairs once, by an adjustment; the row stays as it is, and then there is nothing to do', async () => {
    const [above, below, fine] = [sku(0, 'above'), sku(1, 'below'), sku(2, 'fine')];
    for (const sku_id of [above, below, fine]) await gateway.openSku(sku_id, 9);
    await sell('o1', [above, 'd1', 2]);
    await plant(0, `UPDATE stock SET leaved_amount = leaved_amount + 3 WHERE sku_id = '${above}'`);
    await plant(1, `UPDATE stock SET leaved_amount = leaved_amount - 4 WHERE sku_id = '${below}'`);
    const words = [
      `leaved_amount | shard 0 | ${above} | 10 instead of 7 | d1 | `,
      `leaved_amount | shard 1 | ${below} | 5 instead of 9 |  | `,
    ];
    expect(inWords((await ask()).body.differences as Told[])).to.deep.equal(words);
    expect(inWords((await ask({ sku_id: below })).body.differences as Told[])).to.deep.equal(words.slice(1));

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

  it('does not report what heals between the two looks, nor repairs it', async () => {
    const sku_id = sku(1, 'healing');
    await gateway.openSku(sku_id, 9);
    await plant(1, `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${sku_id}'`);
    const books = openBookShards({
      shards: await own.load(),
      initialShards: SHARDS,
      statementMs: 5_000,
      relaxedAllowed: true,
    });
    const seen: string[] = [];
    let healed: Promise<void> | null = null;
    class Watched extends ShardAuditor {
      override async audit(...given: Parameters<ShardAuditor['audit']>): ReturnType<ShardAuditor['audit']> {
        const audit = await super.audit(...given);
        seen.push(...audit.differences.map(({ kind }) => kind));
        if (seen.length > 0)
          healed ??= plant(1, `UPDATE stock SET leaved_amount = leaved_amount - 1 WHERE sku_id = '${sku_id}'`);
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
        mendAs: 'mend',
      });
      await Promise.resolve(healed);
      expect(seen).to.deep.equal(['leaved_amount']);
      expect(result.is === 'reconciled' ? result.differences : result).to.deep.equal([]);
      expect(await own.query(1, 'SELECT * FROM adjustment')).to.deep.equal([]);
    } finally {
      books.close();
    }
  });

  it('knows no SKU that was never opened, and has no answer when a shard cannot be read', async () => {
    expect((await ask({ sku_id: fresh('nobody') })).body.code).to.equal('unknown_sku');
    const none = await command('--sku', 'nobody');
    expect([none.code, none.stderr.includes('no SKU is called "nobody"')]).to.deep.equal([1, true]);
    await own.query(1, 'UPDATE shard SET hash_version = 9');
    expect((await ask()).body).to.include({ code: 'overloaded', detail: 'not every shard could be read: 1' });
    const broken = await command();
    expect([broken.code, broken.stdout.match(/in order/g)?.length]).to.deep.equal([1, SHARDS - 1]);
    expect(broken.stderr).to.match(/not read: own-1 \(its hash version is 9/);
  });

  it('runs once at a time on a gateway', async () => {
    const sku_id = sku(0, 'twice');
    await gateway.openSku(sku_id, 9);
    await plant(0, `UPDATE stock SET leaved_amount = 8 WHERE sku_id = '${sku_id}'`);
    const answers = await Promise.all([ask(), ask()]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 503]);
    expect((await ask()).status).to.equal(200);
  });
});
