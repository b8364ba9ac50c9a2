import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { startGateway } from '../../src/app/startGateway.ts';
import type { Gateway } from '../../src/app/startGateway.ts';
import type { BackendPorts } from '../../src/app/backendPorts.ts';
import { loadConfig } from '../../src/config/config.ts';
import { subRowOf } from '../../src/core/hot/layout.ts';
import type { Operation } from '../../src/core/operation.ts';
import { createLog } from '../../src/log.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { hotRowsOf, layoutOf, rowsBalance, unitsToMove } from '../support/hot/hotRows.ts';
import { beforeCalls } from '../support/faults/portCalls.ts';
import type { BeforeCall } from '../support/faults/portCalls.ts';
import { stack } from '../support/run/setup.ts';

const WAIT_MS = 10_000;
/** Longer than units may be in transit before another gateway receives them. */
const LATE_MS = 1_200;
/** Each round has its own chance to move units between two reads. On an idle machine one round is enough. */
const ROUNDS_OF_MOVING = 6;
/** Attempts of a caller that retries after a 503. */
const ATTEMPTS = 20;

describe('hot SKU under faults', () => {
  let ports: BackendPorts;
  let faulty: Gateway;
  let other: TestGateway;
  const NO_FAULT: BeforeCall = () => undefined;
  /** Called before each port call of the faulty gateway. */
  let fault = NO_FAULT;
  const decorate = (given: BackendPorts): BackendPorts => {
    ports = given;
    return beforeCalls(given, (...call) => fault(...call));
  };

  before(async () => {
    other = await startTestGateway();
    faulty = await startGateway(
      await loadConfig({ ...stack().environment, PORT: '0', ADMIN_PORT: '0' }),
      createLog('silent'),
      decorate,
    );
  });
  afterEach(() => {
    fault = NO_FAULT;
  });
  after(async () => {
    await Promise.all([faulty.drain(), other.stop()]);
  });

  const path = (sku_id: string, rest = ''): string => `/v1/skus/${encodeURIComponent(sku_id)}${rest}`;
  const admin = (gateway: Gateway, method: 'PUT' | 'POST' | 'DELETE', where: string, body?: unknown): Promise<Answer> =>
    other.client.call({ method, url: `${gateway.adminUrl}${where}`, ...(body === undefined ? {} : { body }) });
  const deduct = (gateway: Gateway, sku_id: string, order_detail_id: string, quantity: number): Promise<Answer> =>
    other.client.call({
      method: 'POST',
      url: `${gateway.publicUrl}/v1/deductions`,
      body: { order_id: `o ${order_detail_id}`, lines: [{ sku_id, order_detail_id, quantity }] },
    });
  const leftOf = async (sku_id: string): Promise<unknown> => (await other.get(path(sku_id))).body?.leaved_amount;
  const openHot = async (name: string, units: number, sub_rows: number): Promise<string> => {
    const sku_id = fresh(name);
    await other.openSku(sku_id, units);
    expect((await admin(other, 'PUT', path(sku_id, '/hot'), { sub_rows })).status).to.equal(200);
    await eventually('all rows have the same units', WAIT_MS, async () =>
      (await hotRowsOf(stack(), sku_id)).every(({ leaved_amount }) => leaved_amount === units / sub_rows),
    );
    return sku_id;
  };
  const operationIn = (given: readonly unknown[]): Operation => (given[1] as readonly Operation[])[0] as Operation;
  const hasCredits = (method: string, given: readonly unknown[]): boolean =>
    method === 'apply' && 'credits' in operationIn(given);

  it('loses no units when the same write-off is sent twice at once', async () => {
    const sku_id = await openHot('twice', 160, 16);
    fault = async (port, method, given) =>
      port === 'engine' && hasCredits(method, given) ? void (await sleep(200)) : undefined;
    const adjust = (): Promise<Answer> =>
      admin(faulty, 'POST', path(sku_id, '/adjustments'), { adjustment_id: 'a', delta: -30 });
    expect((await Promise.all([adjust(), adjust()])).map(({ status }) => status).sort()).to.deep.equal([200, 201]);
    await eventually(
      'no units are in transit or in closed rows',
      WAIT_MS,
      async () => (await unitsToMove(stack(), sku_id)) === 0,
    );
    expect(await leftOf(sku_id)).to.equal(130);
    await rowsBalance(stack(), sku_id);
  });

  it('closes no row before the layout record announces it', async () => {
    const sku_id = fresh('unsure');
    await other.openSku(sku_id, 100);
    let replacements = 0;
    fault = (port, method) =>
      Promise.resolve(port === 'layouts' && method === 'replace' && (replacements += 1) === 1 ? 'unsure' : undefined);
    expect((await admin(faulty, 'PUT', path(sku_id, '/hot'), { sub_rows: 4 })).status).to.equal(200);
    expect((await deduct(other, sku_id, 'd', 1)).status).to.equal(201);
    fault = (port, method) => Promise.resolve(port === 'layouts' && method === 'replace' ? 'unsure' : undefined);
    expect((await admin(faulty, 'PUT', path(sku_id, '/hot'), { sub_rows: 2 })).body).to.include({
      code: 'outcome_unknown',
    });
    expect((await deduct(other, sku_id, 'e', 1)).status).to.equal(201);
  }).timeout(30_000);

  it('is not reported as sold out when another gateway received the transferred units and sold them', async () => {
    const sku_id = await openHot('brought', 100, 2);
    fault = async (port, method, given) =>
      port === 'engine' && hasCredits(method, given) ? void (await sleep(LATE_MS)) : undefined;
    const large = deduct(faulty, sku_id, 'large', 70);
    for (let number = 0; number < 10; number += 1) {
      await sleep(100);
      expect((await deduct(other, sku_id, `small ${number}`, 1)).status).to.be.oneOf([201, 503]);
    }
    expect((await large).body?.code).to.be.oneOf([undefined, 'overloaded']);
    await eventually('no units are in transit', WAIT_MS, async () => (await unitsToMove(stack(), sku_id)) === 0);
    await rowsBalance(stack(), sku_id);
  });

  it('is still rebalanced from reachable rows while units are in transit to an unreachable row', async () => {
    const sku_id = await openHot('dead', 400, 4);
    const places = JSON.parse((await layoutOf(stack(), sku_id)).places) as number[];
    const [unreachable, source] = [places[3] ?? 0, places[1] ?? 0];
    // The other gateway would receive them.
    await other.stop();
    const idOf = (name: string): string =>
      Array.from({ length: 99 }, (_, number) => `${name}${number}`).find((id) => subRowOf(id, 4) === 0) ?? '';
    const lost = {
      sku_id,
      transfer_id: 'ab'.repeat(16),
      amount: 1,
      from: { shard: source, sub_row: 1 },
      to: { shard: unreachable, sub_row: 3 },
    };
    await ports.engine.apply(source, [{ kind: 'send', ...lost, epoch: null }], performance.now() + WAIT_MS);
    fault = (port, method, given) => {
      if (given[0] !== unreachable || (port !== 'engine' && port !== 'hotRows')) return Promise.resolve(undefined);
      return Promise.resolve(
        method === 'apply'
          ? (given[1] as readonly unknown[]).map(() => ({ is: 'not_done', reason: 'dead' }))
          : { is: 'not_done', reason: 'dead' },
      );
    };
    await sleep(LATE_MS);
    const answers = [await deduct(faulty, sku_id, idOf('a'), 130), await deduct(faulty, sku_id, idOf('b'), 100)];
    expect(answers.map(({ status }) => status)).to.deep.equal([201, 201]);
    // The units on the unreachable shard may be enough.
    expect((await deduct(faulty, sku_id, idOf('c'), 100)).body).to.include({ code: 'overloaded' });
    fault = NO_FAULT;
    other = await startTestGateway();
    await eventually('no units are in transit', WAIT_MS, async () => (await unitsToMove(stack(), sku_id)) === 0);
    await rowsBalance(stack(), sku_id);
  }).timeout(60_000);

  it('keeps a pause that was set while its rows were being opened', async () => {
    const sku_id = fresh('paused');
    await other.openSku(sku_id, 400);
    fault = async (port, method, given) => {
      if (port === 'hotRows' && method === 'open') await sleep(150);
      if (port === 'engine' && operationIn(given).kind === 'sale') await sleep(100);
      return undefined;
    };
    const splitting = admin(faulty, 'PUT', path(sku_id, '/hot'), { sub_rows: 4 });
    await sleep(60);
    await eventually(
      'it is paused',
      WAIT_MS,
      async () => (await admin(faulty, 'PUT', path(sku_id, '/sale'), { state: 'paused' })).status === 200,
    );
    expect((await splitting).status).to.be.oneOf([200, 503]);
    for (let number = 0; number < 12; number += 1)
      expect((await deduct(other, sku_id, `d${number}`, 1)).body).to.include({ code: 'not_on_sale' });
  });

  it('is neither closed nor opened by late statements after it was merged', async () => {
    const sku_id = await openHot('late', 160, 2);
    expect((await admin(other, 'DELETE', path(sku_id, '/hot'))).status).to.equal(200);
    await eventually(
      'it is an ordinary SKU',
      WAIT_MS,
      async () => (await layoutOf(stack(), sku_id)).state === 'single',
    );
    const [owner = 0] = JSON.parse((await layoutOf(stack(), sku_id)).places) as number[];
    for (const epoch of [1, 2]) {
      await ports.hotRows.close(owner, sku_id, [0], epoch, performance.now() + WAIT_MS);
      await ports.hotRows.open(owner, sku_id, [0], epoch, { state: 'on', from: null }, performance.now() + WAIT_MS);
    }
    expect((await deduct(other, sku_id, 'd', 1)).status).to.equal(201);
    expect((await deduct(faulty, sku_id, 'e', 1)).status).to.equal(201);
  });

  it('sells an id once, and never sells a cancelled id, although a gateway has a stale layout', async () => {
    const sku_id = await openHot('stale', 320, 16);
    // After these the gateway has the rows in memory and does not read them again.
    for (let number = 0; number < 48; number += 1)
      expect((await deduct(faulty, sku_id, `warm ${number}`, 1)).status).to.equal(201);
    // The gateway cannot read the rows meanwhile, so it does not learn of the new layout.
    fault = (port, method) =>
      Promise.resolve(port === 'hotRows' && method === 'readRows' ? { is: 'not_done', reason: 'not now' } : undefined);
    expect((await admin(other, 'PUT', path(sku_id, '/hot'), { sub_rows: 3 })).status).to.equal(200);
    await eventually(
      'the previous layout is no longer read',
      WAIT_MS,
      async () => (await layoutOf(stack(), sku_id)).earlier === '[]',
    );
    await eventually(
      'the other gateway has the new layout',
      WAIT_MS,
      async () => (await other.get(path(sku_id))).status === 200,
    );
    fault = NO_FAULT;
    const numbers = Array.from({ length: 24 }, (_, number) => number);
    const cancel = (number: number): Promise<Answer> =>
      other.client.call({
        method: 'POST',
        url: `${faulty.publicUrl}/v1/cancellations`,
        body: { order_id: `o cancelled ${number}`, lines: [{ sku_id, order_detail_id: `cancelled ${number}` }] },
      });
    // All at the same time: after the first answer the gateway has the new layout. The deductions come first, because
    // a batch with a cancellation reads its rows.
    const sold = numbers.map((number) => deduct(faulty, sku_id, `new ${number}`, 1));
    const cancelled = numbers.map(cancel);
    for (const { status } of await Promise.all(sold)) expect(status).to.equal(201);
    for (const { status } of await Promise.all(cancelled)) expect(status).to.equal(200);
    for (let number = 0; number < 24; number += 1) {
      expect((await deduct(other, sku_id, `new ${number}`, 1)).status).to.equal(200);
      expect((await deduct(other, sku_id, `cancelled ${number}`, 1)).body).to.include({ code: 'cancelled' });
    }
    await rowsBalance(stack(), sku_id);
  });

  it('is not reported as sold out while its last units move from an unread row to a row already read', async () => {
    const idIn = (sub_row: number, name: string): string =>
      Array.from({ length: 99 }, (_, number) => `${name}${number}`).find((id) => subRowOf(id, 2) === sub_row) ?? '';
    const untilMs = (): number => performance.now() + WAIT_MS;
    const moving = new Map<string, { readonly places: readonly [number, number]; moved: Promise<void> | null }>();
    const moveAll = async (sku_id: string, places: readonly [number, number]): Promise<void> => {
      // By this time the first row has been read.
      await sleep(100);
      const leaved = (await hotRowsOf(stack(), sku_id)).find(({ sub_row }) => sub_row === 1)?.leaved_amount ?? 0;
      const all = {
        sku_id,
        transfer_id: 'cd'.repeat(16),
        from: { shard: places[1], sub_row: 1 },
        to: { shard: places[0], sub_row: 0 },
        amount: leaved,
      };
      const [sent] =
        leaved === 0 ? [] : await ports.engine.apply(places[1], [{ kind: 'send', ...all, epoch: null }], untilMs());
      if (sent?.is !== 'applied') return;
      await ports.engine.apply(places[0], [{ kind: 'receive', ...all }], untilMs());
      await ports.hotRows.clearTransfers(places[1], [all], untilMs());
    };
    const rounds = Array.from({ length: ROUNDS_OF_MOVING }, async () => {
      const sku_id = await openHot('moving', 8, 2);
      const places = JSON.parse((await layoutOf(stack(), sku_id)).places) as [number, number];
      // Directly at the engine, so that no gateway starts to rebalance before the order.
      const line = { sku_id, order_detail_id: idIn(0, 'a'), quantity: 4, row: { sub_row: 0, epoch: 1 } };
      const [sold] = await ports.engine.apply(places[0], [{ kind: 'deduct', order_id: 'o', lines: [line] }], untilMs());
      expect(sold?.is).to.equal('deducted');
      moving.set(sku_id, { places, moved: null });
      return sku_id;
    });
    const sku_ids = await Promise.all(rounds);
    fault = async (port, method, given) => {
      const round = port === 'hotRows' && method === 'readRows' ? moving.get(given[1] as string) : undefined;
      if (round !== undefined && given[0] === round.places[1])
        await (round.moved ??= moveAll(given[1] as string, round.places));
      return undefined;
    };
    // On a busy machine a row may not be read in time. That is not a refusal: a retry sells the units.
    const deductInTheEnd = async (sku_id: string): Promise<number> => {
      for (let attempt = 1; ; attempt += 1) {
        const { status } = await deduct(faulty, sku_id, idIn(0, 'b'), 4);
        if (status !== 503 || attempt === ATTEMPTS) return status;
        await sleep(100);
      }
    };
    // 200: an attempt without an answer has sold it.
    for (const status of await Promise.all(sku_ids.map(deductInTheEnd))) expect(status).to.be.oneOf([201, 200]);
    for (const sku_id of sku_ids) await rowsBalance(stack(), sku_id);
  });

  it('is read as a single SKU when rows were prepared for a layout that was never applied', async () => {
    const sku_id = fresh('prepared');
    await other.openSku(sku_id, 7);
    const [{ shard } = { shard: 0 }] = await hotRowsOf(stack(), sku_id);
    await ports.hotRows.createRows(shard, sku_id, [16], 0, performance.now() + WAIT_MS);
    expect((await other.get(path(sku_id))).body).to.include({ leaved_amount: 7, mode: 'single' });
    expect((await deduct(other, sku_id, 'd', 1)).status).to.equal(201);
  });
});
