import { expect } from 'chai';
import { pause } from '../../src/core/async/pause.ts';
import { RowsUnavailable } from '../../src/core/ports/hotRows.ts';
import { rowOfId } from '../../src/core/hot/layout.ts';
import type { FlowKey } from '../../src/core/types.ts';
import { createLog } from '../../src/log.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { openCartBench, WAIT_MS } from '../support/carts/cartBench.ts';
import { linesOf } from '../support/carts/cartRows.ts';
import { ALL_STEPS } from '../support/carts/orderSteps.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { layoutOf } from '../support/hot/hotRows.ts';
import { beforeCalls } from '../support/faults/portCalls.ts';
import type { BeforeCall } from '../support/faults/portCalls.ts';
import { stack } from '../support/run/setup.ts';
import { skuOn } from '../support/engines/traffic.ts';

/** Two shards on the server that answers, and one on the frozen server. */
const [LIVE, BESIDE, FROZEN] = [3, 5, 12] as const;
const isFrozen = (shard: number): boolean => shard >= 8;
const IDS = 16;

/** A split SKU with lines under these ids. They were sold while its rows lay on these shards. */
interface SplitSku {
  readonly sku_id: string;
  readonly ids: readonly string[];
  readonly places: readonly number[];
}

/** One of two servers is frozen after the preparation, and stays frozen during all tests. */
describe('reads with a frozen server', () => {
  let gateway: TestGateway;
  /** When true, the gateway writes no pointers and completes no holds in the background. */
  let isIdle = false;
  /** When true, a read of a frozen shard lasts until its deadline, as the trial call of a half-open breaker does. */
  let isSlow = false;
  let [live, beside, frozen, unknown]: readonly string[] = [];
  let merged: SplitSku;
  let first: SplitSku;
  let second: SplitSku;
  let held: readonly FlowKey[];

  const whileIdle: BeforeCall = async (port, method, given) => {
    if (isSlow && port === 'reader' && method === 'findFlows' && isFrozen(Number(given[0]))) {
      await pause(Number(given[2]) - performance.now());
      return { is: 'not_done', reason: 'the deadline passed' };
    }
    if (!isIdle) return undefined;
    if (port === 'carts' && method === 'findUnfinished') return { is: 'not_done', reason: 'idle' };
    if (port === 'hotRows' && method === 'writePointers') throw new RowsUnavailable('idle');
    return undefined;
  };

  before(async function () {
    this.timeout(60_000);
    gateway = await startTestGateway({}, stack(), createLog('silent'), (ports) => beforeCalls(ports, whileIdle));
    [live, beside, frozen, unknown] = [LIVE, BESIDE, FROZEN, LIVE].map((shard) => skuOn(shard, fresh('away')));
    for (const sku_id of [live, beside, frozen]) await gateway.openSku(sku_id ?? '', 100);
    for (const sku_id of [live, frozen]) await deduct(sku_id ?? '', 'sold');
    const lines = [{ sku_id: live, order_detail_id: 'cancelled' }];
    expect((await gateway.post('/v1/cancellations', { order_id: 'o', lines })).status).to.equal(200);
    merged = await prepareMerged();
    isIdle = true;
    [first, second] = await prepareResized();
    held = await prepareCarts();
    stack().cluster.servers[1]?.signal('SIGSTOP');
  });

  after(async () => {
    stack().cluster.servers[1]?.signal('SIGCONT');
    isIdle = false;
    await eventually('every shard serves again', WAIT_MS, async () => {
      const { body } = await gateway.adminGet('/v1/shards');
      return (body.shards as { breaker: string }[]).every(({ breaker }) => breaker === 'closed');
    });
    await gateway.stop();
  });

  it('answer a line that is found on its earlier shard, although its current shard used up its time', async () => {
    isSlow = true;
    try {
      const wanted = first.ids.map((id) => (isFrozen(rowOfId(first.places, id).shard) ? 'unavailable' : 'deducted'));
      expect(statusesOf(await lookUp(keysOf(first)))).to.deep.equal(wanted);
    } finally {
      isSlow = false;
    }
  });

  const deduct = async (sku_id: string, order_detail_id: string): Promise<void> => {
    const answer = await gateway.deduct({ sku_id, order_detail_id, quantity: 1 });
    expect(answer.status, answer.text).to.equal(201);
  };
  const split = async (sku_id: string, sub_rows: number): Promise<number[]> => {
    const { status, text, body } = await gateway.adminPut(`/v1/skus/${sku_id}/hot`, { sub_rows });
    expect(status, text).to.equal(200);
    return (body.sub_rows as { shard: number }[]).map(({ shard }) => shard);
  };
  const sellSome = async (sku_id: string, name: string): Promise<string[]> => {
    const ids = Array.from({ length: IDS }, (_, number) => `${name} ${number}`);
    for (const id of ids) await deduct(sku_id, id);
    return ids;
  };

  /** Sold in four rows, then merged: the remaining row has only pointers to the lines. */
  async function prepareMerged(): Promise<SplitSku> {
    const sku_id = skuOn(LIVE, fresh('merged'));
    await gateway.openSku(sku_id, 100);
    const places = await split(sku_id, 4);
    const ids = await sellSome(sku_id, 'merged');
    const { status, text } = await gateway.client.call({
      method: 'DELETE',
      url: `${gateway.adminUrl}/v1/skus/${sku_id}/hot`,
    });
    expect(status, text).to.equal(200);
    await eventually('all lines have pointers', WAIT_MS, async () => {
      const { state, earlier } = await layoutOf(stack(), sku_id);
      return state === 'single' && earlier === '[]';
    });
    return { sku_id, ids, places };
  }

  /** Sold in four rows, then in seven, with pointers to no line. */
  async function prepareResized(): Promise<[SplitSku, SplitSku]> {
    const sku_id = skuOn(LIVE, fresh('resized'));
    await gateway.openSku(sku_id, 100);
    const four = await split(sku_id, 4);
    const early = await sellSome(sku_id, 'early');
    const seven = await split(sku_id, 7);
    const late = await sellSome(sku_id, 'late');
    return [
      { sku_id, ids: early, places: four },
      { sku_id, ids: late, places: seven },
    ];
  }

  /** Lines on a live shard, held by committed orders of both protocols, whose records lie on the frozen server. */
  async function prepareCarts(): Promise<FlowKey[]> {
    const bench = openCartBench(undefined, 'batching');
    const keys: FlowKey[] = [];
    for (const steps of ALL_STEPS) {
      const order_id = skuOn(FROZEN, fresh('order'));
      const lines = linesOf([live ?? '', beside ?? ''], order_id);
      const started = await steps.start(bench, order_id, lines, linesOf([frozen ?? ''], order_id));
      for (const is of await started.hold()) expect(is).to.equal('held');
      expect(await started.decide('committed')).to.equal('committed');
      keys.push({ sku_id: live ?? '', order_detail_id: order_id });
    }
    bench.close();
    return keys;
  }

  const lookUp = (lines: readonly FlowKey[]): Promise<Answer> => gateway.post('/v1/deductions/lookup', { lines });
  const keysOf = ({ sku_id, ids }: SplitSku): FlowKey[] => ids.map((order_detail_id) => ({ sku_id, order_detail_id }));
  const statusesOf = (answer: Answer): string[] => {
    expect(answer.status, answer.text).to.equal(200);
    return (answer.body.lines as { status: string }[]).map(({ status }) => status);
  };
  const single = (): FlowKey[] => [
    { sku_id: frozen ?? '', order_detail_id: 'sold' },
    { sku_id: live ?? '', order_detail_id: 'sold' },
    { sku_id: live ?? '', order_detail_id: 'cancelled' },
    { sku_id: live ?? '', order_detail_id: 'never sold' },
    { sku_id: frozen ?? '', order_detail_id: 'never sold' },
  ];
  const expectLines = (answer: Answer): void => {
    expect(statusesOf(answer)).to.deep.equal(['unavailable', 'deducted', 'cancelled', 'none', 'unavailable']);
    expect(answer.body.lines[0]).to.deep.equal({ sku_id: frozen, order_detail_id: 'sold', status: 'unavailable' });
    expect(answer.body.lines[1]).to.include({ sku_id: live, order_detail_id: 'sold', quantity: 1, shard: LIVE });
  };
  const available = async (
    sku_ids: readonly unknown[],
    consistency: 'cached' | 'primary',
  ): Promise<Record<string, unknown>[]> => {
    const { status, text, body } = await gateway.post('/v1/availability', { sku_ids, consistency });
    expect(status, text).to.equal(200);
    return body.skus as Record<string, unknown>[];
  };
  const breakerIsOpen = async (): Promise<boolean> => {
    const { body } = await gateway.adminGet('/v1/shards');
    return body.shards[FROZEN].breaker === 'open';
  };

  /** The breaker opens only when several callers fail at the same time. */
  const openBreaker = (): Promise<void> =>
    eventually('the breaker opens', WAIT_MS, async () => {
      for (const answer of await Promise.all(Array.from({ length: 12 }, () => lookUp(single())))) expectLines(answer);
      return breakerIsOpen();
    });

  for (const breaker of ['closed', 'open'] as const) {
    describe(`while the breaker is ${breaker}`, () => {
      before(async () => {
        if (breaker === 'open') await openBreaker();
        expect(await breakerIsOpen()).to.equal(breaker === 'open');
      });

      it('answer a look-up line by line', async () => {
        expectLines(await lookUp(single()));
      });

      it('answer lines on live shards when a pointer of another line leads to the frozen shard', async () => {
        const { places, ids } = merged;
        const wanted = ids.map((id) => (isFrozen(rowOfId(places, id).shard) ? 'unavailable' : 'deducted'));
        expect(new Set(wanted), 'both cases occur').to.have.property('size', 2);
        expect(statusesOf(await lookUp([...keysOf(merged), ...single()])).slice(0, IDS)).to.deep.equal(wanted);
      });

      it('answer a line that is found on its current shard, although its earlier shard is frozen', async () => {
        const early = first.ids.map((id) => (isFrozen(rowOfId(first.places, id).shard) ? 'unavailable' : 'deducted'));
        const late = second.ids.map((id) => (isFrozen(rowOfId(second.places, id).shard) ? 'unavailable' : 'deducted'));
        const strangers = Array.from({ length: IDS }, (_, number) => `never sold ${number}`);
        const absent = strangers.map((id) =>
          [first, second].some(({ places }) => isFrozen(rowOfId(places, id).shard)) ? 'unavailable' : 'none',
        );
        for (const wanted of [early, late, absent])
          expect(new Set(wanted), 'both cases occur').to.have.property('size', 2);
        const keys = [...keysOf(first), ...keysOf(second), ...keysOf({ ...second, ids: strangers })];
        expect(statusesOf(await lookUp(keys))).to.deep.equal([...early, ...late, ...absent]);
      });

      it('report a line as unavailable when the record of the cart that holds it is on the frozen shard', async () => {
        expect(statusesOf(await lookUp([...held, ...single()])).slice(0, 4)).to.deep.equal([
          'unavailable',
          'unavailable',
          'unavailable',
          'deducted',
        ]);
      });

      it('answer availability SKU by SKU', async () => {
        const answer = await available([frozen, live, unknown, merged.sku_id, first.sku_id], 'primary');
        const [away, known, missing, ...split] = answer;
        expect(away).to.deep.equal({ sku_id: frozen, status: 'unavailable' });
        expect(known).to.include({ sku_id: live, status: 'known' });
        expect(known?.['leaved_amount']).to.be.within(97, 99);
        expect(missing).to.include({ sku_id: unknown, status: 'unknown_sku', leaved_amount: null });
        for (const one of [known, missing]) expect(one?.['age_ms']).to.be.a('number');
        // The sum of a split SKU needs all of its rows.
        expect(split.map(({ status }) => status)).to.deep.equal(['unavailable', 'unavailable']);
        expect(await available([frozen], 'cached')).to.deep.equal([{ sku_id: frozen, status: 'unavailable' }]);
        expect((await available([frozen, beside], 'cached')).map(({ status }) => status)).to.deep.equal([
          'unavailable',
          'known',
        ]);
      });

      it('return 503 only when nothing could be read', async () => {
        const away = single().filter(({ sku_id }) => sku_id === frozen);
        const paths = [
          `/v1/deductions/sold?sku_id=${frozen}`,
          `/v1/skus/${frozen}`,
          `/v1/skus/${frozen}?consistency=cached`,
        ];
        const answers = await Promise.all([lookUp(away), ...paths.map((path) => gateway.get(path))]);
        for (const answer of answers) expect(answer.body, answer.text).to.include({ status: 503, code: 'overloaded' });
        expect((await gateway.get(`/v1/deductions/sold?sku_id=${live}`)).body).to.include({ status: 'deducted' });
        expect((await lookUp([...single(), ...single()])).body.lines).to.have.length(2 * single().length);
      });

      it('reject a cancellation, and change no line, when one of its lines cannot be read', async () => {
        const lines = [live, frozen].map((sku_id = '') => ({ sku_id, order_detail_id: 'sold' }));
        expect((await gateway.post('/v1/cancellations', { order_id: 'order of sold', lines })).body).to.include({
          status: 503,
          code: 'overloaded',
        });
        expect(statusesOf(await lookUp(lines))).to.deep.equal(['deducted', 'unavailable']);
      });
    });
  }
});
