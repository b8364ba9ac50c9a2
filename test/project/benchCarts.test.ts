import { expect } from 'chai';
import { openTextbookCartSale } from '../../scripts/bench/apps/textbookCartSale.ts';
import type { TextbookCartSale } from '../../scripts/bench/apps/textbookCartSale.ts';
import { COMPARISONS } from '../../scripts/bench/arms.ts';
import { chainsOf, comparisonsOf } from '../../scripts/bench/chains.ts';
import { goodsFor, OPENING, shardOf } from '../../scripts/bench/goods.ts';
import type { Goods } from '../../scripts/bench/goods.ts';
import { againAfter } from '../../scripts/bench/load/contract.ts';
import type { Counted } from '../../scripts/bench/load/contract.ts';
import { orderMaker } from '../../scripts/bench/load/orders.ts';
import { missingOutcomes } from '../../scripts/bench/outcomes.ts';
import { proofFaults } from '../../scripts/bench/proof.ts';
import { FIGURES, verdictOn } from '../../scripts/bench/report/figures.ts';
import { spreadOf } from '../../scripts/bench/report/statistics.ts';
import { connectToShard, openBenchStock } from '../../scripts/bench/stock.ts';
import type { BenchStock } from '../../scripts/bench/stock.ts';
import { WORLDS } from '../../scripts/bench/world.ts';
import { dropSchemas } from '../../scripts/support/dropSchemas.ts';
import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';
import { stack } from '../support/run/setup.ts';

const SHARDS = 4;

/** As the load generator would count `sold` answered orders. */
const countedOf = (sold: number): Counted => ({
  ...{ requests: sold, refused: 0, broken: 0, seconds: 1, made: sold, repeated: 0, short: 0 },
  ...{ cpuSeconds: 0, p50Ms: 1, p99Ms: 1 },
});

describe('benchmark of orders of three lines', () => {
  let ownStack: Stack;
  let stock: BenchStock;
  let sale: TextbookCartSale;

  before(async () => {
    ownStack = await startStack({
      ...{ cluster: stack().cluster, servers: 1, serverOf: () => 0, shardCount: SHARDS },
      ...{ dataDirectory: '.local', onProgress: () => undefined },
    });
    stock = await openBenchStock(ownStack.shards);
    sale = openTextbookCartSale({ addresses: ownStack.shards.map(({ address }) => address), connections: 8 });
  });

  after(async () => {
    await sale.close();
    await stock.close();
    await dropSchemas(ownStack.shards.map(({ address }) => address));
    await ownStack.stop();
  });

  const opened = async (prefix: string, opening: number): Promise<Goods & { readonly cart: readonly string[] }> => {
    const goods = { ...goodsFor('carts', prefix, SHARDS), openingOf: () => opening };
    await stock.open(goods);
    return { ...goods, cart: goods.baskets[0] ?? [] };
  };
  const orderOf = (order_id: string, sku_ids: readonly string[], quantity = 1) => ({
    order_id,
    lines: sku_ids.map((sku_id, index) => ({ order_detail_id: `${order_id}-${index + 1}`, sku_id, quantity })),
  });

  it('sells an order of the textbook gateway once, as a whole', async () => {
    const { cart, ...goods } = await opened('t1', 5);
    expect(new Set(cart.map((sku_id) => shardOf(sku_id, SHARDS))).size).to.equal(3);
    const order = orderOf('t1-order', cart, 2);
    expect(await sale.sell(order)).to.equal('deducted');
    expect(await sale.sell(order)).to.equal('replayed');
    expect(await sale.sell(orderOf('t1-order', cart, 3))).to.equal('idempotency_conflict');
    expect(await sale.sell(orderOf('t1-more', cart, 4))).to.equal('insufficient_stock');
    const sums = await stock.read(goods);
    expect(sums).to.deep.include({ deducted: 6, flowCount: 3, differences: [] });
    expect([...sums.lines.keys()].sort()).to.deep.equal(['1', '2', '3']);
    expect(proofFaults(countedOf(1), sums, 3)).to.deep.equal([]);
  });

  it('sells exactly the last units of the textbook gateway to orders that lock in opposite orders', async () => {
    const { cart, ...goods } = await opened('t2', 20);
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, number) =>
        sale.sell(orderOf(`t2-${number}`, number % 2 === 0 ? cart : [...cart].reverse())),
      ),
    );
    const countOf = (outcome: string): number => outcomes.filter((each) => each === outcome).length;
    expect([countOf('deducted'), countOf('insufficient_stock')]).to.deep.equal([20, 40]);
    expect(proofFaults(countedOf(20), await stock.read(goods), 3)).to.deep.equal([]);
  });

  it('voids a run with an order that is stored in part, although each stock row equals its flows', async () => {
    const { cart, ...goods } = await opened('t3', 5);
    for (const order_id of ['t3-one', 't3-two']) await sale.sell(orderOf(order_id, cart));
    const [sku_id = ''] = cart;
    const address = ownStack.shards[shardOf(sku_id, SHARDS)]?.address;
    const connection = await connectToShard(address!);
    // Line 1 of one order is given to the other order, so the counts are right too.
    await connection.query('UPDATE flow SET order_id = ? WHERE sku_id = ? AND order_id = ?', [
      't3-two',
      sku_id,
      't3-one',
    ]);
    const swapped = await stock.read(goods);
    await connection.query('DELETE FROM flow WHERE sku_id = ?', [sku_id]);
    await connection.query('UPDATE stock SET leaved_amount = opening_amount WHERE sku_id = ?', [sku_id]);
    const lacking = await stock.read(goods);
    await connection.end();
    expect([swapped.differences, lacking.differences]).to.deep.equal([[], []]);
    expect(proofFaults(countedOf(2), swapped, 3)).to.have.length(1);
    expect(proofFaults(countedOf(2), swapped, 3)[0]).to.contain('stored in part: 2 have line 1, 2 have line 2');
    expect(proofFaults(countedOf(2), lacking, 3).join()).to.contain('stored in part: 2 have line 2, 2 have line 3');
  });

  it('lets one SKU in eight run out, one after the other', () => {
    const { sku_ids, openingOf, baskets } = goodsFor('scarce_carts', 'r1', 16);
    const scarce = new Set(sku_ids.filter((sku_id) => openingOf(sku_id) < OPENING));
    expect(scarce.size).to.equal(128);
    expect(new Set([...scarce].map(openingOf)).size).to.equal(32);
    expect(Math.min(...[...scarce].map(openingOf))).to.equal(1);
    const withScarce = baskets.filter((cart) => cart.some((sku_id) => scarce.has(sku_id)));
    expect(withScarce.length / baskets.length).to.be.within(0.25, 0.45);
  });

  it('sends one order in twenty again, unchanged and long after its answer', () => {
    const waits = againAfter(1_024);
    expect([againAfter(1), waits]).to.deep.equal([1_024, 2_048]);
    const baskets = [
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ];
    const orders = orderMaker({ host: 'h', baskets, prefix: 'p', traffic: 'replays', againAfter: waits });
    const firstAt = new Map<string, number>();
    const gaps: number[] = [];
    for (let place = 0; place < 10_000; place += 1) {
      const request = orders.next();
      const first = firstAt.get(request);
      if (first === undefined) firstAt.set(request, place);
      else gaps.push(place - first);
    }
    expect(gaps).to.have.length(orders.counts.repeated);
    expect(gaps.length).to.be.within(350, 400);
    expect(Math.min(...gaps)).to.be.at.least(waits);
    expect([orders.counts.short, orders.counts.made]).to.deep.equal([0, 10_000 - gaps.length]);
  });

  it('voids a run without the answers that it should measure', () => {
    const before = new Map([['replayed', 3]]);
    const after = new Map([
      ['replayed', 3],
      ['deducted', 9],
    ]);
    expect(missingOutcomes(before, after, ['deducted', 'replayed', 'insufficient_stock'])).to.deep.equal([
      'replayed',
      'insufficient_stock',
    ]);
  });

  it('judges the share of unsold orders by the worst round', () => {
    const share = FIGURES.find(({ arm, judged }) => arm === 'carts_4' && judged === 'worst')!;
    expect(verdictOn(share, spreadOf([0, 0, 0]))).to.equal('goal');
    expect(verdictOn(share, spreadOf([0, 0, 0.01]))).to.equal('MISSED');
    expect(verdictOn({ ...share, better: 'more', floor: 2, goal: 2 }, spreadOf([1, 2, 3]))).to.equal('MISSED');
  });

  it('measures each chain on the servers of its arms', () => {
    const chains = chainsOf(COMPARISONS);
    for (const chain of chains) expect(new Set(chain.map(({ world }) => world)).size).to.equal(1);
    const onFour = COMPARISONS.filter(({ world }) => world === 'four_servers').map(({ arm }) => arm);
    expect(new Set(onFour)).to.deep.equal(new Set(['carts_4', 'carts_4_replays', 'carts_4_shortages']));
    expect([WORLDS.one_server.servers, WORLDS.four_servers.servers]).to.deep.equal([1, 4]);
    expect(comparisonsOf(['carts', 'carts_4']).map(({ world, pressure }) => `${world} ${pressure}`)).to.deep.equal([
      'undefined all_out',
      'undefined half_of_peak',
      'four_servers all_out',
      'four_servers half_of_peak',
    ]);
  });
});
