import { expect } from 'chai';
import type { MissingRecord } from '../../../src/core/restore/missingRecord.ts';
import type { Auditor } from '../../../src/core/ports/auditor.ts';
import type { StockDifference } from '../../../src/core/books/reconciliation.ts';
import { putBack } from '../../../src/service/restore/putBack.ts';
import type { PutBackPorts } from '../../../src/service/restore/putBack.ts';
import { repair } from '../../../src/service/reconcile/repair.ts';
import type { Repair } from '../../../src/service/reconcile/repair.ts';
import { notPutBack } from '../../../src/commands/reconcile/reportMissing.ts';
import { runFile } from '../../support/run/command.ts';
import type { Finished } from '../../support/run/command.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { skuOn } from '../../support/engines/traffic.ts';
import { startWireProxy } from '../../support/wire/wireProxy.ts';
import type { Cut } from '../../support/wire/wireProxy.ts';

const SHARDS = 2;
const CUT_SHARD = 0;
const TEST_MS = 180_000;

const difference = (more: Partial<StockDifference> = {}): StockDifference => ({
  kind: 'leaved_amount',
  shard: 1,
  sku_id: 'A',
  expected: 7n,
  actual: 10n,
  flow_count: 0,
  order_detail_ids: [],
  cart: null,
  ...more,
});

describe('a repair', () => {
  const tried = (
    found: StockDifference,
    earlier: readonly StockDifference[],
    mend: Auditor['repair'] = async () => ({ is: 'mended' }),
    mendAs: string | undefined = 'r',
  ) => repair(found, earlier, { auditor: { repair: mend }, repairIdPrefix: mendAs, deadlineMs: 0 });
  const notRepaired = (reason: string): Repair => ({ outcome: 'not_repaired', adjustment_id: null, reason });

  it('writes an adjustment for a difference that stays the same', async () => {
    expect(await tried(difference(), [difference()])).to.deep.equal({
      outcome: 'repaired',
      adjustment_id: 'r-1',
      reason: null,
    });
  });

  it('reports why a difference is not repaired', async () => {
    const huge = { expected: 0n, actual: 2n ** 53n };
    const cases: readonly (readonly [Promise<Repair>, string])[] = [
      [
        repair(difference(), [], {
          auditor: { repair: async () => ({ is: 'mended' }) },
          repairIdPrefix: undefined,
          deadlineMs: 0,
        }),
        'a repair was not asked for',
      ],
      [
        tried(difference({ kind: 'held_amount' }), []),
        "a difference of kind held_amount needs an operator's decision; only leaved_amount is repaired",
      ],
      [tried(difference({ sub_row: 3 }), []), 'it is in sub-row 3 of a split SKU, and adjustments belong to sub-row 0'],
      [
        tried(difference(), [difference({ actual: 8n })]),
        'it changed between the two reads, from 1 to 3; run the command again',
      ],
      [
        tried(difference(huge), [difference(huge)]),
        '9007199254740992 units are more than an adjustment can hold, 9007199254740991',
      ],
    ];
    for (const [repaired, reason] of cases) expect(await repaired).to.deep.equal(notRepaired(reason));
  });

  it('reports the outcome on the shard, and never treats an unknown outcome as no effect', async () => {
    const answers: readonly (readonly [Auditor['repair'], Repair])[] = [
      [
        async () => ({ is: 'changed' }),
        notRepaired('the row or its journal changed after the second read; run the command again'),
      ],
      [async () => ({ is: 'not_mine' }), notRepaired('another shard owns its slot now; run the command again')],
      [async () => ({ is: 'not_done', reason: 'no connection' }), notRepaired('no connection')],
      [
        async () => ({ is: 'unknown', reason: 'COMMIT: silent' }),
        {
          outcome: 'unknown',
          adjustment_id: 'r-1',
          reason: 'the adjustment r-1 may be written; run the command again (COMMIT: silent)',
        },
      ],
      [
        async () => Promise.reject(new Error('broken')),
        {
          outcome: 'unknown',
          adjustment_id: 'r-1',
          reason: 'the adjustment r-1 may be written; run the command again (broken)',
        },
      ],
    ];
    for (const [mend, expected] of answers) {
      expect(await tried(difference(), [difference()], mend)).to.deep.equal(expected);
    }
  });
});

describe('a record that is put back on a restored shard', () => {
  it('has an unknown outcome when no answer came', async () => {
    const cart = { order_id: 'o', attempt: 1, lines: [] };
    const ids = { toldBy: 'own-1', sku_id: null, order_id: 'o', order_detail_id: null, id: '1', quantity: null };
    const lost: MissingRecord = { kind: 'cart', ...ids, redo: { kind: 'record', cart } };
    const recordCart = async (): Promise<boolean> => Promise.reject(new Error('COMMIT: silent'));
    const parts = {
      shards: { recordCart },
      backgroundTasks: { finish: async () => undefined },
    } as unknown as PutBackPorts;
    const done = await putBack(parts, [{ shard: 0, missing: [lost] }], performance.now() + 1_000);
    expect(done).to.deep.equal([{ missing: lost, fault: 'COMMIT: silent', isUnknown: true }]);
    expect(notPutBack(done)).to.deep.equal([
      'outcome unknown, run it again (COMMIT: silent): cart: order_id "o", id "1" (own-1)',
    ]);
  });
});

describe('npm run reconcile -- --repair', () => {
  let own: OwnShards;
  let skus: readonly string[];

  beforeEach(async () => {
    own = await ownShards({ count: SHARDS, migrated: true });
    skus = Array.from({ length: SHARDS }, (_, shard) => skuOn(shard, fresh('repair'), SHARDS));
    const gateway = await startTestGateway({}, own);
    for (const sku_id of skus) await gateway.openSku(sku_id, 9);
    await gateway.stop();
    for (const [shard, sku_id] of skus.entries()) {
      await own.query(shard, `UPDATE stock SET leaved_amount = leaved_amount + 3 WHERE sku_id = '${sku_id}'`);
    }
  });
  afterEach(() => own.drop());

  const command = (...args: string[]): Promise<Finished> => runFile('src/commands/reconcile.ts', args, own.environment);
  const adjustments = async (): Promise<string[][]> =>
    Promise.all(
      skus.map(async (_, shard) =>
        (await own.query(shard, 'SELECT adjustment_id FROM adjustment')).map(({ adjustment_id }) =>
          String(adjustment_id),
        ),
      ),
    );

  /** Runs the command while one shard falls silent at the COMMIT of the repair. Resolves when the command has ended. */
  async function cutAtCommit(cut: Cut): Promise<Finished> {
    const address = (await own.load())[CUT_SHARD]?.address;
    if (address === undefined) throw new Error('there is a shard');
    const proxy = await startWireProxy(address);
    const pointTo = (port: number): void =>
      own.rewrite(({ shards }) => {
        const [first] = shards;
        if (first !== undefined) first.primary.port = port;
      });
    try {
      pointTo(proxy.port);
      proxy.cutWhenever(cut, () => {
        proxy.setSilent(true);
        return true;
      });
      return await command('--repair');
    } finally {
      pointTo(address.port);
      await proxy.close();
    }
  }

  for (const [cut, isWritten] of [
    ['before', false],
    ['after', true],
    ['silent', true],
  ] as const) {
    it(`reports an unknown outcome when COMMIT has no answer, cut ${cut}, until the command is run again`, async () => {
      const { code, stdout, stderr } = await cutAtCommit(cut);
      const written = await adjustments();
      expect([code, written.map(({ length }) => length)], stderr).to.deep.equal([1, [isWritten ? 1 : 0, 1]]);
      const [, id] = /may be written; run the command again/.test(stderr)
        ? (/the adjustment (\S+) may be written/.exec(stderr) ?? [])
        : [];
      expect(stderr).to.match(/^2 differences, 0 not repaired, 1 with an unknown outcome:$/m);
      expect(stderr).to.contain(
        `  leaved_amount of "${skus[CUT_SHARD]}" on own-0: outcome unknown, the adjustment ${id} may be written`,
      );
      expect(stdout).to.contain(`outcome unknown: ${id}`).and.to.contain(`repaired: ${written[1]?.[0]}`);
      if (isWritten) expect(written[0]).to.deep.equal([id]);
      const again = await command('--repair');
      expect(again.code, again.stderr).to.equal(0);
      expect((await adjustments()).map(({ length }) => length)).to.deep.equal([1, 1]);
      expect((await command()).stdout.match(/in order/g)).to.have.length(SHARDS);
    }).timeout(TEST_MS);
  }

  it('prints the reason for every difference that remains', async () => {
    const [first = '', second = ''] = skus;
    await own.query(
      1,
      `UPDATE stock SET leaved_amount = leaved_amount - 3, held_amount = 2 WHERE sku_id = '${second}'`,
    );
    const looked = await command();
    expect(looked.code).to.equal(1);
    expect(looked.stderr).to.match(/^2 differences, 2 not repaired:$/m);
    expect(looked.stderr).to.contain(
      `  leaved_amount of "${first}" on own-0: not repaired, a repair was not asked for`,
    );
    const repaired = await command('--repair', '--json');
    expect(repaired.code).to.equal(1);
    expect(repaired.stderr).to.match(/^2 differences, 1 not repaired:$/m);
    expect(repaired.stderr).to.contain(
      `  held_amount of "${second}" on own-1: not repaired, a difference of kind held_amount needs an operator`,
    );
    const { differences } = JSON.parse(repaired.stdout) as {
      differences: { sku_id: string; outcome: string; adjustment_id: string | null; reason: string | null }[];
    };
    const ofFirst = differences.find(({ sku_id }) => sku_id === first);
    expect([ofFirst?.outcome, ofFirst?.adjustment_id, ofFirst?.reason]).to.deep.equal([
      'repaired',
      (await adjustments())[0]?.[0],
      null,
    ]);
  }).timeout(TEST_MS);

  it('prints every digit of an amount that a double cannot hold', async () => {
    const values = `('${skus[1]}', 'by hand', 9007199254740990, NULL)`;
    await own.query(1, `INSERT INTO adjustment (sku_id, adjustment_id, delta, reason) VALUES ${values}`);
    const { code, stdout } = await command('--json');
    expect(code).to.equal(1);
    expect(stdout).to.contain('"expected": 9007199254740999,').and.to.contain('"actual": 12,');
  }).timeout(TEST_MS);
});
