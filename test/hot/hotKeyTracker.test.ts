import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { HotKeyTracker } from '../../src/core/hot/hotKeyTracker.ts';
import type { HotSku } from '../../src/core/hot/hotKeyTracker.ts';
import { suggestSplit } from '../../src/core/hot/suggestSplit.ts';
import { pageOf } from '../../src/metrics/addUp.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { RankedSku } from '../../src/service/hot/hottestSkus.ts';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';

const WINDOW_MS = 1_000;
const COLD = 100_000;
/** A map of COLD SKUs would need far more. */
const HEAP_BYTES_MAX = 1_000_000;

describe('hot-key tracker', () => {
  let hotKeys: HotKeyTracker;
  beforeEach(() => {
    hotKeys = new HotKeyTracker();
  });

  /** Counts some windows, each with the given number of lines per SKU, in turns. */
  const pass = (windows: number, lines: Readonly<Record<string, number>>, windowMs = WINDOW_MS): void => {
    const most = Math.max(...Object.values(lines));
    const turns = Array.from({ length: most }, (_, turn) =>
      Object.keys(lines).filter((sku_id) => turn < (lines[sku_id] ?? 0)),
    ).flat();
    for (let window = 0; window < windows; window += 1) {
      for (const sku_id of turns) hotKeys.add(sku_id, 1);
      hotKeys.closeWindow(windowMs);
    }
  };
  /** Counts one window with one line of each of very many SKUs, and `hotLines` lines of one more. */
  const passMany = (hotLines: number): readonly HotSku[] => {
    const every = Math.floor(COLD / Math.max(1, hotLines));
    for (let cold = 0; cold < COLD; cold += 1) {
      hotKeys.add(`cold-${cold}`, 1);
      if (hotLines > 0 && cold % every === 0) hotKeys.add('hot', 1);
    }
    hotKeys.closeWindow(WINDOW_MS);
    return hotKeys.hottest();
  };

  it(`reports the hot one of ${COLD} SKUs with its rate, and never a cold one as hot`, () => {
    for (let window = 0; window < 8; window += 1) {
      const [first, ...others] = passMany(2_000);
      expect(first?.sku_id).to.equal('hot');
      expect(others.filter(({ lines_per_second }) => lines_per_second > 1)).to.deep.equal([]);
    }
    expect(hotKeys.hottest()[0]?.lines_per_second).to.be.within(1_800, 2_000);
  });

  it('drops a SKU within seconds when no more lines name it', () => {
    for (let window = 0; window < 8; window += 1) passMany(2_000);
    const rateOfHot = (reported: readonly HotSku[]): number =>
      reported.find(({ sku_id }) => sku_id === 'hot')?.lines_per_second ?? 0;
    const rates = Array.from({ length: 12 }, () => rateOfHot(passMany(0)));
    expect(rates[0]).to.be.within(900, 1_000);
    expect(rates[4]).to.be.below(80);
    expect(rates.at(-1)).to.equal(0);
    // The same holds when no SKU at all is named.
    pass(8, { hot: 1_000 });
    pass(12, { hot: 0 });
    expect(hotKeys.hottest()).to.deep.equal([]);
  });

  it('uses no more memory for many SKUs than for few', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): number => {
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    passMany(100);
    const before = used();
    for (let window = 0; window < 3; window += 1) passMany(100);
    expect(used() - before).to.be.below(HEAP_BYTES_MAX);
  });

  it('reports a steady rate for uneven traffic and for windows of different lengths', () => {
    for (let round = 0; round < 10; round += 1) {
      for (const lines of [800, 1_200]) pass(1, { uneven: lines });
      if (round > 3) expect(hotKeys.hottest()[0]?.lines_per_second).to.be.within(900, 1_100);
    }
    for (const windowMs of [100, 2_500, 400, 1_000, 7_000, 50]) {
      pass(1, { uneven: windowMs }, windowMs);
      expect(hotKeys.hottest()[0]?.lines_per_second).to.be.within(900, 1_100);
    }
  });

  it('reports at most ten SKUs, in order, and no SKU that is seldom named', () => {
    const lines = Object.fromEntries(Array.from({ length: 14 }, (_, place) => [`warm-${place}`, 100 * (place + 1)]));
    pass(10, lines);
    expect(hotKeys.hottest().map(({ sku_id }) => sku_id)).to.deep.equal(
      Array.from({ length: 10 }, (_, place) => `warm-${13 - place}`),
    );
    for (const { sku_id, lines_per_second } of hotKeys.hottest())
      expect(lines_per_second).to.be.within(0.9 * (lines[sku_id] ?? 0), lines[sku_id] ?? 0);
    hotKeys = new HotKeyTracker();
    pass(10, { seldom: 1 }, 2 * WINDOW_MS);
    expect(hotKeys.hottest()).to.deep.equal([]);
  });

  it('reports correct rates when more SKUs have the same rate than it can name', () => {
    pass(10, Object.fromEntries(Array.from({ length: 30 }, (_, place) => [`alike-${place}`, 500])));
    expect(hotKeys.hottest()).to.have.length(10);
    for (const { lines_per_second } of hotKeys.hottest()) expect(lines_per_second).to.be.within(450, 500);
  });

  it('distinguishes two SKUs with the same hash, and counts several lines at once', () => {
    // The best known collision of FNV-1a.
    for (let window = 0; window < 12; window += 1) {
      for (let time = 0; time < 10; time += 1) {
        hotKeys.add('costarring', 90);
        hotKeys.add('liquid', 10);
      }
      hotKeys.closeWindow(WINDOW_MS);
    }
    expect(hotKeys.hottest()).to.deep.equal([
      { sku_id: 'costarring', lines_per_second: 900 },
      { sku_id: 'liquid', lines_per_second: 100 },
    ]);
  });
});

describe('suggestion to split', () => {
  for (const [rate, perRow, sub_rows] of [
    [0, 5_000, null],
    [5_000, 5_000, null],
    [5_001, 5_000, 2],
    [10_000, 5_000, 2],
    [10_001, 5_000, 4],
    [20_001, 5_000, 8],
    [40_001, 5_000, 16],
    [1_000_000, 5_000, 16],
    [2, 1, 2],
  ] as const) {
    it(`is ${sub_rows ?? 'none'} for ${rate} lines a second, where a row carries ${perRow}`, () => {
      expect(suggestSplit(rate, perRow)).to.equal(sub_rows);
    });
  }
});

describe('the hottest SKUs of a gateway', () => {
  const hotSku = (sku_id: string, lines_per_second: number): HotSku => ({ sku_id, lines_per_second });
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ STOCKGATE_HOT_LINES_PER_SECOND: '2' });
  });
  after(() => gateway.stop());

  it('are reported by SKU with a suggestion, replays and refusals included; in the metrics by rank', async () => {
    const [hot, warm, unknown] = [fresh('hot'), fresh('warm'), fresh('unknown')];
    for (const sku_id of [hot, warm]) await gateway.openSku(sku_id, 1_000_000);
    let rounds = 0;
    const lineOf = (sku_id: string, order: string) => ({ sku_id, order_detail_id: `${sku_id} ${order}`, quantity: 1 });
    /** Ten orders: six new ones (one of them with a second line), three replays, and one of an unknown SKU. */
    const round = async (): Promise<void> => {
      rounds += 1;
      const name = `${rounds}`;
      const orders = [
        ...[1, 2, 3, 4, 5].map((order) => [lineOf(hot, `${name} ${order}`)]),
        [lineOf(hot, `${name} 6`), lineOf(warm, `${name} 6`)],
        ...[1, 2, 3].map(() => [lineOf(hot, 'again')]),
        [lineOf(unknown, name)],
      ];
      await inParallel(orders, 10, async (lines) => {
        await gateway.post('/v1/deductions', { order_id: `order of ${lines[0]?.order_detail_id}`, lines });
      });
    };
    let reported: RankedSku[] = [];
    await eventually('all three rates are above 4', 15_000, async () => {
      await round();
      reported = (await gateway.adminGet('/v1/shards')).body.hottest;
      return reported.filter(({ lines_per_second }) => lines_per_second > 4).length === 3;
    });
    const [first, ...others] = reported;
    expect(reported.map(({ rank }) => rank)).to.deep.equal([1, 2, 3]);
    expect(first).to.include({ sku_id: hot, sub_rows_suggested: 16 });
    expect(others.map(({ sku_id }) => sku_id)).to.have.members([warm, unknown]);
    // A window is at least one second long, so no rate can be above the number of lines sent.
    expect(first?.lines_per_second).to.be.within(4 * (others[0]?.lines_per_second ?? 0), 9 * rounds);
    for (const { lines_per_second, sub_rows_suggested } of others) {
      expect(lines_per_second).to.be.at.most(rounds);
      expect(sub_rows_suggested).to.equal(suggestSplit(lines_per_second, 2));
    }

    const { text } = await gateway.adminGet('/metrics');
    const rates = [...text.matchAll(/^stockgate_hottest_sku_lines_per_second\{rank="(\d+)"\} (\d+)$/gm)].map(
      ([, rank, rate]) => [Number(rank), Number(rate)],
    );
    expect(rates.map(([rank]) => rank)).to.deep.equal(Array.from({ length: 10 }, (_, index) => index + 1));
    expect(rates[0]?.[1]).to.be.above(0);
    expect(rates.slice(3).map(([, rate]) => rate)).to.deep.equal(Array.from({ length: 7 }, () => 0));
    for (const sku_id of [hot, warm, unknown]) expect(text).not.to.contain(sku_id);
  });

  it('are added up over workers rank by rank, even for different SKUs', async () => {
    const workers = [[hotSku('one', 300), hotSku('other', 20)], [hotSku('other', 40)]].map((skus) =>
      createMetrics(
        () => [],
        () => skus,
      ),
    );
    const { text } = await pageOf(await Promise.all(workers.map((worker) => worker.snapshot())));
    for (const [rank, rate] of [
      [1, 340],
      [2, 20],
      [3, 0],
    ])
      expect(text).to.contain(`\nstockgate_hottest_sku_lines_per_second{rank="${rank}"} ${rate}\n`);
  });
});
