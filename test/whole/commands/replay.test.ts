import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { flowKeyText } from '../../../src/core/types.ts';
import {
  expectedStateOf,
  answerFaults,
  expectedStateFaults,
  replayFaults,
  eventsToRepeat,
} from '../../../scripts/replay/expectedState.ts';
import { readOrders } from '../../../scripts/replay/orders.ts';
import { firstCarts, openingStockOf, planReplay } from '../../../scripts/replay/plan.ts';
import type { CartEvent, Plan, ReplayEvent, ReturnEvent } from '../../../scripts/replay/plan.ts';
import type { Result } from '../../../scripts/replay/play.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { runFile } from '../../support/run/command.ts';
import { startTestGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import {
  briefly,
  cellsOf,
  HEADER,
  journalOf,
  messageOf,
  replayPlanOf,
  resultOf,
  rowsIn,
  csvRowsOf,
  REPLAY_TOKENS,
  runReplay,
  SHORT_FILE,
  writeOrders,
} from '../../support/systems/replayFiles.ts';
import { stack } from '../../support/run/setup.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/run/temporary.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const RUN_MS = 240_000;

describe('a file of orders', () => {
  const refusal = (lines: readonly string[]): Promise<string> => messageOf(csvRowsOf(lines));

  it('is read whole with any line ends, further columns and a byte order mark', async () => {
    expect(await csvRowsOf(SHORT_FILE)).to.have.length(SHORT_FILE.length - 1);
    const [first] = await rowsIn(`\uFEFFnote,${HEADER}\n"x\ny",2010-01-04T09:00:00Z,1001,"A, b",10\n\n`);
    expect(first).to.deep.equal({
      line: 2,
      invoicedAtMs: Date.UTC(2010, 0, 4, 9),
      invoice: '1001',
      number: 1,
      stock_code: 'A, b',
      quantity: 10,
      isReturn: false,
    });
  });

  it('is rejected with the lines that are invalid', async () => {
    const good = '2010-01-04T09:00:00Z,1001,A,10';
    const withQuantity = (quantity: string): string[] => [HEADER, `2010-01-04T09:00:00Z,1001,A,${quantity}`];
    const lines = [HEADER, good, '2010-01-04T09:00:00Z,1001,A,many', good, 'yesterday,1001, A,10'];
    const faults = (await refusal(lines)).split('\n');
    expect(faults[0]).to.match(/^orders.csv, line 3: quantity is "many", it must /);
    expect(faults[1]).to.match(/^orders.csv, line 5: invoiced_at is "yesterday", /);
    expect(faults[2]).to.match(/^orders.csv, line 5: stock_code is " A", it must be/);
    for (const quantity of ['0', '-0', '1.5', '', '1e3', '1000001', '0x10'])
      expect(await refusal(withQuantity(quantity)), quantity).to.match(/line 2: quantity/);
    for (const time of ['2010-02-29', '2010-04-31', '2010-13-01'])
      expect(await refusal([HEADER, `${time}T09:00:00Z,1001,A,1`]), time).to.match(/line 2: invoiced_at is "/);
    expect(await refusal([HEADER, good, `${good},000`, good, '2010-01-04T09:00:00Z,1001'])).to.match(
      /^orders.csv, line 3: 5 cells .*\norders.csv, line 5: 2 cells/,
    );
    expect(await refusal([HEADER, `2010-01-04T09:00:00Z,${'1'.repeat(60)},A,1`])).to.match(/line 2: invoice/);
    expect(await refusal([HEADER, ...Array.from({ length: 14 }, () => good.replace('10', 'no'))])).to.match(
      /line 11: .*\nand 4 more$/s,
    );
    expect(await messageOf(readOrders('/nowhere.csv'))).to.match(/^\/nowhere.csv: there is no such file/);
  });
});

describe('a plan of a replay', () => {
  it('makes a cart of each invoice, and returns of the latest sales with enough units', async () => {
    const plan = await replayPlanOf(SHORT_FILE);
    expect(plan.events.map(briefly)).to.deep.equal([
      '1001: 1001-1 10 A, 1001-2 3 B, 1001-3 3 B',
      '1002: 1002-1 4 A',
      'C1003-1: 4 A of 1002-1',
      'C1004-1: 7 A of 1001-1',
      'C1004-2: 3 A of 1001-1',
      'C1004-2: 2 A of C1004-2, not sold',
      'C1005-1: 2 C of C1005-1, not sold',
      '1006: 1006-1 1 A',
      'C1007-1: 1 A of 1006-1',
      'C1007-1: 1 A of C1007-1, not sold',
    ]);
    expect([...plan.demand]).to.deep.equal([
      ['A', 15],
      ['B', 6],
      ['C', 0],
    ]);
    expect([...openingStockOf(plan, 0.5).values()]).to.deep.equal([7, 3, 0]);
  });

  it('splits a return over several sales, the latest first', async () => {
    const lines = [
      HEADER,
      '2010-01-04T09:00:00Z,1,A,3',
      '2010-01-04T09:00:00Z,2,A,2',
      '2010-01-04T09:00:00Z,C3,A,-4',
      '2010-01-04T09:00:00Z,C4,A,1',
    ];
    expect((await replayPlanOf(lines)).events.slice(2).map(briefly)).to.deep.equal([
      'C3-1: 2 A of 2-1',
      'C3-1: 2 A of 1-1',
      'C4-1: 1 A of 1-1',
    ]);
  });

  it('splits an invoice with more lines than a request may have, and rejects ids that are taken', async () => {
    const large = Array.from({ length: 1_001 }, (_, index) => `2010-01-04T09:00:00Z,7,S${index},1`);
    const carts = (await replayPlanOf([HEADER, ...large])).events.filter(
      (event): event is CartEvent => event.kind === 'cart',
    );
    expect(carts.map(({ order_id, lines }) => [order_id, lines.length, lines[0]?.order_detail_id])).to.deep.equal([
      ['7/1', 500, '7-1'],
      ['7/2', 500, '7-501'],
      ['7/3', 1, '7-1001'],
    ]);
    expect(await messageOf(replayPlanOf([HEADER, ...large, '2010-01-04T09:00:00Z,7/2,A,1']))).to.equal(
      'orders.csv, line 1003: the order id "7/2" is taken by the cart of line 502',
    );
  });

  it('ends before the next cart when only the first carts are wanted', async () => {
    const plan = await replayPlanOf(SHORT_FILE);
    const two = firstCarts(plan, 2);
    expect(two.events).to.deep.equal(plan.events.slice(0, 7));
    expect([...two.demand]).to.deep.equal(Object.entries({ A: 14, B: 6, C: 0 }));
    expect([plan.rowCount, two.rowCount]).to.deep.equal([10, 8]);
    expect(firstCarts(plan, 3)).to.equal(plan);
  });

  it('has every row of the real file, and every return after its sale', async () => {
    const rows = await readOrders(projectPath('scripts/demo/orders-2011-11-10.csv'));
    const { events, rowCount } = planReplay(rows, 'orders-2011-11-10.csv');
    expect(rowCount).to.equal(rows.length);
    const units = (isReturn: boolean): number =>
      rows.filter((row) => row.isReturn === isReturn).reduce((sum, { quantity }) => sum + quantity, 0);
    const carts = events.filter((event): event is CartEvent => event.kind === 'cart');
    const returns = events.filter((event): event is ReturnEvent => event.kind === 'return');
    expect(carts.flatMap(({ lines }) => lines).reduce((sum, { quantity }) => sum + quantity, 0)).to.equal(units(false));
    expect(returns.reduce((sum, { quantity }) => sum + quantity, 0)).to.equal(units(true));
    for (const { of } of returns) expect(of === null || carts.includes(of)).to.equal(true);
  });
});

describe('the checks of a replay', () => {
  let plan: Plan;
  let opening: ReadonlyMap<string, number>;
  let first: CartEvent;
  let ofFirst: ReturnEvent;
  before(async () => {
    plan = await replayPlanOf(SHORT_FILE);
    opening = openingStockOf(plan, 1);
    [first, , , ofFirst] = plan.events as [CartEvent, CartEvent, ReturnEvent, ReturnEvent];
  });
  const expected = (event: ReplayEvent): Result =>
    resultOf(event.kind === 'return' && event.of === null ? 'unknown_deduction' : 'done');
  const sound = () => new Map<ReplayEvent, Result>(plan.events.map((event) => [event, expected(event)]));
  const journal = () => journalOf(sound(), opening);
  const left = new Map(Object.entries({ A: 15, B: 0, C: 0 }));

  it('find nothing when all is well', () => {
    const memory = expectedStateOf(sound(), opening);
    expect([memory.lineCount, ...memory.left]).to.deep.equal([5, ...left]);
    expect([...answerFaults(sound(), plan, opening), ...expectedStateFaults(memory, journal(), left)]).to.deep.equal(
      [],
    );
    const again = new Map(
      eventsToRepeat(sound()).map((event) => [
        event,
        resultOf(expected(event).is === 'done' ? 'replayed' : 'unknown_deduction'),
      ]),
    );
    expect(replayFaults(sound(), again)).to.deep.equal([]);
  });

  it('find a cart that is incomplete, missing, or stored though it was refused', () => {
    const flows = journal();
    flows.delete(flowKeyText({ sku_id: 'B', order_detail_id: '1001-3' }));
    expect(expectedStateFaults(expectedStateOf(sound(), opening), flows, left)).to.deep.equal([
      'order 1001: sold, but only 2 of its 3 lines are stored',
    ]);
    const refused = sound().set(first, resultOf('refused', { short: ['A'] }));
    expect(expectedStateFaults(expectedStateOf(refused, opening), journal(), left)).to.include(
      'order 1001: refused, but 3 of its 3 lines are stored',
    );
    const unclear = sound().set(first, resultOf('unclear'));
    expect(expectedStateFaults(expectedStateOf(unclear, opening), flows, left)).to.include(
      'order 1001: 2 of its 3 lines are stored',
    );
  });

  it('find flows that differ from what was sent, and stock that differs from what was sold', () => {
    const flows = journal();
    const key = flowKeyText({ sku_id: 'A', order_detail_id: '1001-1' });
    flows.set(key, { order_id: '1002', quantity: 11, returned: 0, status: 'deducted' });
    expect(expectedStateFaults(expectedStateOf(sound(), opening), flows, new Map([...left, ['A', 14]]))).to.have.length(
      4,
    );
  });

  it('find refusals although there was enough for every order, and wrong answers to returns', () => {
    const faultsOf = (event: ReplayEvent, is: Result['is'], more?: Partial<Result>) =>
      answerFaults(sound().set(event, resultOf(is, more)), plan, opening);
    expect(faultsOf(first, 'refused', { short: ['A'] })).to.include(
      'order 1001: refused because of A, of which there was enough for every order',
    );
    expect(faultsOf(ofFirst, 'unknown_deduction')).to.deep.equal([
      'return C1004-1 of 1001-1, A: unknown deduction, although it was sold',
    ]);
    expect(faultsOf(plan.events.at(-1) as ReturnEvent, 'done')).to.deep.equal([
      'return C1007-1 of C1007-1, A: accepted, although it was never sold',
    ]);
    expect(replayFaults(sound(), new Map([[first, resultOf('done')]]))).to.deep.equal([
      'order 1001: done at first, done when it was sent again',
    ]);
  });
});

describe('npm run replay', () => {
  let folder: TemporaryFolder;
  let gateway: TestGateway;
  before(async () => {
    folder = temporaryFolder();
    gateway = await startTestGateway({
      ...REPLAY_TOKENS,
      HOST: '127.0.0.1',
      ADMIN_HOST: '127.0.0.1',
    });
  });
  after(async () => {
    await gateway?.stop();
    folder?.remove();
  });
  const write = (lines: readonly string[]): string => writeOrders(folder, lines);
  const replay = (file: string, ...args: readonly string[]) => runReplay(gateway, file, ...args);

  it('sends a file to a running gateway, twice and then once more', async () => {
    const file = write(SHORT_FILE);
    const { code, stdout, stderr } = await replay(file, '--twice');
    expect(code, stderr).to.equal(0);
    expect(cellsOf(stdout, 'lines')).to.deep.equal(['5', '5']);
    expect(cellsOf(stdout, 'carts sold')).to.deep.equal(['3', '0']);
    expect(cellsOf(stdout, 'carts replayed')).to.deep.equal(['0', '3']);
    expect(cellsOf(stdout, 'returns taken back')).to.deep.equal(['4', '0']);
    expect(cellsOf(stdout, 'returns of what was not sold (unknown_deduction)')).to.deep.equal(['3', '3']);
    expect(stdout).to.match(/nothing changed/);
    const again = await replay(file, '--shards', stack().environment['STOCKGATE_SHARDS'] ?? '', '--speed', '1000000');
    expect(cellsOf(again.stdout, 'carts replayed'), again.stderr).to.deep.equal(['3']);
    const other = await replay(file, '--stock-factor', '2');
    expect(other.code).to.equal(1);
    expect(other.stderr).to.match(/exists with another opening stock/);
  }).timeout(RUN_MS);

  it('goes on when SKUs sell out, and sends nothing of an invalid file', async () => {
    const options = ['--stock-factor', '0.4', '--concurrency', '1', '--twice'];
    const { code, stdout, stderr } = await replay(write(SHORT_FILE), ...options);
    expect(code, stderr).to.equal(0);
    expect(cellsOf(stdout, 'carts refused, not enough left')).to.deep.equal(['1', '0']);
    expect(cellsOf(stdout, 'carts sold')).to.deep.equal(['2', '0']);
    const bad = await replay(write([HEADER, '2010-01-04T09:00:00Z,1001,{}A,10', '2010-01-04T09:00:00Z,1001,{}A,ten']));
    expect([bad.code, bad.stdout]).to.deep.equal([1, '']);
    expect(bad.stderr).to.match(/line 3: quantity is "ten", it must be a whole number/);
  }).timeout(RUN_MS);

  it('starts servers of its own, keeps their data, and finds the data again', async function () {
    // Named servers do not belong to this test: data that it keeps would stay on them.
    if (process.env['STOCKGATE_MYSQL_SERVERS'] || !LONG) this.skip();
    for (const part of ['copies', 'templates']) {
      mkdirSync(projectPath(`.local/${part}`), { recursive: true });
      symlinkSync(projectPath(`.local/${part}`), join(folder.path, part));
    }
    const file = write(SHORT_FILE);
    const run = (...args: readonly string[]) =>
      runFile('scripts/replay.ts', [file, '--data-dir', folder.path, '--servers', '1', '--keep', 'test', ...args]);
    const { code, stdout, stderr } = await run('--twice');
    expect(code, stderr).to.equal(0);
    expect(cellsOf(stdout, 'carts replayed')).to.deep.equal(['0', '3']);
    expect(stdout).to.match(/│ 15 .* yes +│/);
    const again = await run();
    expect(again.code, again.stderr).to.equal(0);
    expect(cellsOf(again.stdout, 'carts replayed')).to.deep.equal(['3']);
  }).timeout(RUN_MS);
});
