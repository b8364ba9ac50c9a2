import { expect } from 'chai';
import { armNamed, ARMS, COMPARISONS, SCALING, SCALING_CONTROL } from '../../scripts/bench/arms.ts';
import { regressions } from '../../scripts/bench/report/baseline.ts';
import { chainsOf, comparisonsOf, runCount } from '../../scripts/bench/chains.ts';
import { ticksIn } from '../../scripts/bench/cpu.ts';
import { FIGURES, figureRow, verdictOn } from '../../scripts/bench/report/figures.ts';
import { goodsFor, OPENING, shardOf, splitGoods, spreadGoods } from '../../scripts/bench/goods.ts';
import { wholeAnswer } from '../../scripts/bench/load/connection.ts';
import { QUANTITY_SHORT } from '../../scripts/bench/load/contract.ts';
import type { Counted } from '../../scripts/bench/load/contract.ts';
import { percentile } from '../../scripts/support/latencies.ts';
import { orderMaker } from '../../scripts/bench/load/orders.ts';
import { parseCounted } from '../../scripts/bench/load/run.ts';
import { p99OfTwo } from '../../scripts/bench/rawInserts.ts';
import type { Run } from '../../scripts/bench/measure.ts';
import { outcomesIn, unexpected } from '../../scripts/bench/outcomes.ts';
import { proofFaults } from '../../scripts/bench/proof.ts';
import type { MeasuredPair } from '../../scripts/bench/rounds.ts';
import { scalingFigures, scalingRows } from '../../scripts/bench/scaling/rows.ts';
import type { ScalingRun } from '../../scripts/bench/scaling/rows.ts';
import { SLOW_COMMITS, SUB_ROWS } from '../../scripts/bench/scaling/setting.ts';
import type { StockSums } from '../../scripts/bench/stock.ts';
import { spreadOf } from '../../scripts/bench/report/statistics.ts';
import { figureCells, scalingCells } from '../../scripts/bench/report/tables.ts';

const counted: Counted = {
  requests: 100,
  refused: 0,
  broken: 0,
  seconds: 2,
  made: 104,
  repeated: 0,
  short: 0,
  cpuSeconds: 0.1,
  p50Ms: 1,
  p99Ms: 3,
};
const status: StockSums = {
  ...{ opening: 1_000, leaved: 898, held: 0, deducted: 102, flowCount: 102, differences: [] },
  lines: new Map([['1', { count: 102, checksum: 7 }]]),
};

const runOf = (arm: string, rate: number, more: Partial<Run> = {}): Run => ({
  ...{
    arm,
    pressure: 'all_out',
    connections: 1_024,
    rate,
    counted,
    others: {},
    othersShare: 0,
    commits: null,
    statements: null,
    faults: [],
  },
  cpuMicros: { server: 20, store: 10, generator: 5 },
  ...more,
});

describe('benchmark', () => {
  it('finds the counts in the output of wrk', () => {
    const head = 'Running 2s test @ http://127.0.0.1:1/v1/deductions\n  1 threads and 256 connections\n';
    const printed = `${head}${JSON.stringify(counted)}\n`;
    expect(parseCounted(printed)).to.deep.equal(counted);
    expect(() => parseCounted('unable to connect')).to.throw('no counts: unable to connect');
    expect(() => parseCounted('{"requests":1}')).to.throw('did not count refused');
  });

  it('computes medians, ranges and percentiles', () => {
    expect(spreadOf([3, 1, 2])).to.deep.equal({ median: 2, min: 1, max: 3, count: 3 });
    expect(spreadOf([4, 1, 2, 3])?.median).to.equal(2.5);
    expect(spreadOf([])).to.equal(null);
    expect([percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.99), percentile([], 0.5)]).to.deep.equal([
      3, 4, 0,
    ]);
  });

  it("reads a process's ticks although its name has blanks and brackets", () => {
    expect(ticksIn('7 (a) b) S 1 7 7 0 -1 4 100 0 0 0 250 50 9 9 20 0 11 0 77 1 2')).to.equal(300);
  });

  it('reads the outcomes of deductions only, and reports unexpected ones', () => {
    const before = outcomesIn(
      'stockgate_requests_total{route="POST /v1/deductions",outcome="deducted"} 5\n' +
        'stockgate_requests_total{route="GET /metrics",outcome="done"} 9\n',
    );
    expect([...before]).to.deep.equal([['deducted', 5]]);
    const after = new Map([
      ['deducted', 95],
      ['overloaded', 10],
      ['internal', 0],
    ]);
    expect(unexpected(before, after, ['deducted'])).to.deep.equal({ share: 0.1, others: { overloaded: 10 } });
  });

  it('accepts a run only when the rows match the answers', () => {
    const faultsOf = (more: Partial<StockSums>, less: Partial<Counted> = {}) =>
      proofFaults({ ...counted, ...less }, { ...status, ...more }, 1);
    expect(faultsOf({})).to.deep.equal([]);
    expect(faultsOf({ leaved: 899 })[0]).to.contain('a stock drop of 101');
    expect(faultsOf({ flowCount: 99 })[0]).to.contain('100 were answered');
    expect(faultsOf({ flowCount: 105 })[0]).to.contain('104 were sent');
    expect(faultsOf({ differences: ['r1-sku-0001'] })[0]).to.contain('r1-sku-0001');
    expect(faultsOf({ flowCount: 93, deducted: 93, leaved: 907 }, { repeated: 5, refused: 2 })).to.deep.equal([]);
    const linesOf = (...checksums: number[]) =>
      new Map(checksums.map((checksum, index) => [String(index + 1), { count: 101, checksum }]));
    const cartFaults = (lines: StockSums['lines']) => proofFaults(counted, { ...status, flowCount: 303, lines }, 3);
    expect(cartFaults(linesOf(5, 5, 5))).to.deep.equal([]);
    for (const inPart of [linesOf(5, 5, 6), linesOf(5, 5)])
      expect(cartFaults(inPart)[0]).to.contain('orders are stored in part: 101 have line 1');
  });

  it('computes a wait of the rest of one batch and the whole next one, in which slow batches weigh more', () => {
    expect(p99OfTwo(Array.from({ length: 100 }, () => 1))).to.be.within(1.95, 2);
    // One batch in fifty takes a third of all the time: nearly all of the slowest hundredth wait for just one of these.
    const ofSlow = p99OfTwo(Array.from({ length: 100 }, (_, index) => (index % 50 === 25 ? 25 : 1)));
    expect(ofSlow).to.be.within(25, 26);
  });

  it('compares every run with the two reference runs around it', () => {
    const figure = FIGURES.find(({ id, connections }) => id === 'P1' && connections === 1_024)!;
    const comparison = { arm: 'hot', reference: 'echo', pressure: 'all_out' } as const;
    const pair = (rate: number, more: Partial<Run> = {}): MeasuredPair => ({
      comparison,
      connections: 1_024,
      run: runOf('hot', rate, more),
      references: [runOf('echo', 90), runOf('echo', 110)],
      raw: null,
    });
    const row = figureRow(figure, [pair(80), pair(70), pair(95)]);
    expect(row).to.deep.include({ verdict: 'floor', values: [0.8, 0.7, 0.95] });
    expect(figureCells(row)).to.deep.equal([
      'P1',
      'one hot SKU ÷ echo',
      1_024,
      '≥ 0.8',
      '≥ 0.95',
      '0.80 [0.70..0.95]',
      'floor',
    ]);
    expect(figureRow(figure, [pair(95, { faults: ['a row is below zero'] })]).verdict).to.equal('VOID');
    expect(figureCells(figureRow(figure, [])).slice(-2)).to.deep.equal(['-', 'not measured']);
    const database = FIGURES.find(({ id }) => id === 'P10')!;
    const raw = {
      rows: 64,
      rowsPerSecond: 1,
      medianBatchMs: 1,
      p99BatchMs: 2,
      p99TwoBatchesMs: 3,
      serverMicrosPerRow: 4,
    };
    expect(figureRow(database, [{ ...pair(80), raw }])).to.deep.include({ verdict: 'MISSED', values: [2.5] });
    expect(verdictOn({ better: 'less', floor: 2, goal: 1.3 }, spreadOf([1.3]))).to.equal('goal');
  });

  it('measures every comparison that a figure needs', () => {
    for (const { arm, reference, pressure, connections } of FIGURES) {
      const fits = COMPARISONS.filter(
        (each) => each.arm === arm && each.reference === reference && each.pressure === pressure,
      );
      expect(
        fits.some((each) => each.connections === undefined || each.connections === connections),
        `${arm} ${reference}`,
      ).to.equal(true);
    }
    for (const { arm, reference } of COMPARISONS)
      expect([armNamed(arm), armNamed(reference)].every((each) => ARMS.includes(each))).to.equal(true);
  });

  it('shares a reference run between neighbouring runs, except at a fixed rate', () => {
    const comparisons = comparisonsOf(['hot', 'many']).filter(({ reference }) => reference === 'echo');
    expect(chainsOf(comparisons).map((chain) => chain.length)).to.deep.equal([2, 2]);
    expect(runCount({ comparisons, connections: [256, 1_024], rounds: 3 })).to.equal(3 * (5 + 5 + 6));
    expect(runCount({ comparisons, connections: [1_024], rounds: 1 })).to.equal(5);
  });

  it('puts the lines of a cart on different shards', () => {
    for (const cart of goodsFor('carts', 'r1', 16).baskets)
      expect(new Set(cart.map((sku_id) => shardOf(sku_id, 16))).size).to.equal(3);
    expect(OPENING).to.be.lessThan(QUANTITY_SHORT);
  });

  it('compares each number of sub-rows with one sub-row of the same round', () => {
    const run = (round: number, sub_rows: number, rate: number, more: Partial<Run> = {}): ScalingRun => ({
      round,
      sub_rows,
      run: runOf(SCALING.name, rate, { connections: 32 * sub_rows, commits: 13, ...more }),
    });
    const runs = [run(1, 1, 100), run(1, 4, 380), run(2, 1, 200), run(2, 4, 600), run(3, 1, 100), run(3, 4, 360)];
    const control = run(1, 4, 1_000, {
      arm: SCALING_CONTROL.name,
      commits: null,
      statements: null,
      cpuMicros: { server: 20, store: null, generator: 5 },
    });
    const rows = scalingRows([...runs, control]);
    expect(rows.map(({ arm, sub_rows }) => `${arm} ${sub_rows}`)).to.deep.equal([
      'scaling 1',
      'scaling 4',
      'scaling_control 4',
    ]);
    expect([rows[1]?.toOne?.median, rows[1]?.share?.median, rows[1]?.share?.min]).to.deep.equal([3.6, 0.9, 0.75]);
    // 104 orders in 13 batches, and four sub-rows that each make 95 of the 380 orders of a second.
    expect(scalingCells(rows[1]!).slice(1)).to.deep.equal([
      4,
      128,
      '380 [360..600]',
      '3.60',
      '0.90 [0.75..0.95]',
      '8.0',
      '84.2',
      '0.01',
      '0.00',
      '0.00',
      '3',
    ]);
    // Its one sub-row was not measured, and servers that the benchmark did not start have no figures.
    expect(scalingCells(rows[2]!).slice(4, 9)).to.deep.equal(['-', '-', '-', '-', '0.02']);
    const figures = scalingFigures([...runs, control]);
    expect(figures.map(({ verdict }) => verdict)).to.deep.equal([
      'not measured',
      'goal',
      'not measured',
      'not measured',
    ]);
    expect(figures[1]?.values).to.deep.equal([0.95, 0.75, 0.9]);
    expect(scalingFigures([run(1, 1, 100), run(1, 4, 330)])[1]?.verdict).to.equal('MISSED');
    expect(scalingFigures([run(1, 1, 100, { faults: ['a row is below zero'] }), run(1, 4, 400)])[1]?.verdict).to.equal(
      'VOID',
    );
  });

  it('puts each SKU on a server of its own, or one SKU on many sub-rows', () => {
    for (const count of SUB_ROWS) {
      const { sku_ids, baskets } = spreadGoods('r1', count, SLOW_COMMITS.servers);
      expect([
        new Set(sku_ids.map((sku_id) => shardOf(sku_id, SLOW_COMMITS.servers))).size,
        baskets.length,
      ]).to.deep.equal([count, count]);
    }
    expect(() => spreadGoods('r1', 17, 16)).to.throw('17 SKUs');
    const { sku_ids, sub_rows } = splitGoods('r1', 8);
    expect([sku_ids.length, sub_rows]).to.deep.equal([1, 8]);
  });

  it('makes requests with a correct length, one in ten a repetition and one in twenty above the stock', () => {
    const baskets = [['a', 'b', 'c'], ['d']];
    const orders = orderMaker({ host: '127.0.0.1:1', baskets, prefix: 'p', traffic: 'mixed', againAfter: 1_024 });
    const bodies = Array.from({ length: 4_096 }, () => {
      const [head = '', body = ''] = orders.next().split('\r\n\r\n');
      expect(head).to.contain(`Content-Length: ${body.length}`);
      return JSON.parse(body) as {
        order_id: string;
        lines: { order_detail_id: string; sku_id: string; quantity: number }[];
      };
    });
    const quantities = new Set(bodies.flatMap(({ lines }) => lines.map(({ quantity }) => quantity)));
    expect(quantities).to.deep.equal(new Set([1, QUANTITY_SHORT]));
    const seen = new Map<string, string>();
    const again = bodies.filter((body) => seen.has(body.order_id) || !seen.set(body.order_id, JSON.stringify(body)));
    expect(again).to.have.length(orders.counts.repeated);
    expect(again.every((body) => seen.get(body.order_id) === JSON.stringify(body))).to.equal(true);
    expect(orders.counts.repeated).to.be.greaterThan(200);
    expect(orders.counts.short).to.be.within(200, 210);
  });

  it('waits for the whole answer', () => {
    const answer = 'HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nbody';
    expect(wholeAnswer(Buffer.from(answer))).to.equal(201);
    expect(wholeAnswer(Buffer.from(answer.slice(0, -1)))).to.equal(null);
    expect(wholeAnswer(Buffer.from('HTTP/1.1 201 Cre'))).to.equal(null);
  });

  it('reports figures that are worse than the baseline by more than the margin', () => {
    const figure = (median: number) => [{ id: 'P9', what: 'CPU', spread: spreadOf([median]) }];
    const baseline = { commit: 'abc', figures: { P9: 1.2 } };
    expect(regressions(figure(1.79), baseline)).to.deep.equal([]);
    expect(regressions(figure(1.81), baseline)[0]).to.contain('is 1.81, was 1.20 on abc; the limit is 1.80');
    expect(regressions([{ id: 'P9', what: 'CPU', spread: null }], baseline)).to.deep.equal([
      'P9 could not be measured',
    ]);
    expect(regressions(figure(1), { commit: 'abc', figures: {} })[0]).to.contain('--record');
  });
});
