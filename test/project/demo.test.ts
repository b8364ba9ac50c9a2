import { expect } from 'chai';
import { sumBooks } from '../../src/core/books/books.ts';
import { flowKeyText } from '../../src/core/types.ts';
import { cartsOfDay, openingStock } from '../../scripts/demo/day.ts';
import { contradictions } from '../../scripts/demo/shopRecord.ts';
import type { ShopRecord, FinalStock } from '../../scripts/demo/shopRecord.ts';
import { dayRows } from '../../scripts/demo/tables.ts';
import { refusalOfCart } from '../../scripts/replay/carts.ts';
import type { Cart } from '../../scripts/replay/carts.ts';

describe('the demo', () => {
  const cart = (order_id: string, ...lines: readonly (readonly [sku_id: string, quantity: number])[]): Cart => ({
    order_id,
    lines: lines.map(([sku_id, quantity], index) => ({
      sku_id,
      quantity,
      order_detail_id: `${order_id}-${index + 1}`,
    })),
  });
  const sold = cart('one', ['A', 2], ['B', 1]);
  const refused = cart('two', ['A', 1], ['B', 2], ['B', 2]);
  const ledger = (more: Partial<ShopRecord> = {}): ShopRecord => ({
    sold: [sold],
    refused: [{ cart: refused, short: ['B'] }],
    faults: [],
    answered: [],
    replayed: 0,
    ...more,
  });
  const flowsOf = ({ order_id, lines }: Cart) =>
    lines.map(
      (line) =>
        [flowKeyText(line), { order_id, quantity: line.quantity, returned: 0, status: 'deducted' as const }] as const,
    );
  const finalStock = (more: Partial<FinalStock> = {}): FinalStock => ({
    opening: new Map([
      ['A', 5],
      ['B', 4],
    ]),
    leftovers: new Map([
      ['A', 3],
      ['B', 3],
    ]),
    books: [],
    flows: new Map(flowsOf(sold)),
    ...more,
  });

  it('sends every invoice of the day as a whole cart from every shop, with unique ids', async () => {
    const carts = await cartsOfDay(3);
    expect(carts).to.have.length(3 * 12);
    expect(carts.flatMap(({ lines }) => lines)).to.have.length(3 * 271);
    expect(new Set(carts.map(({ order_id }) => order_id)).size).to.equal(carts.length);
    expect(new Set(carts.flatMap(({ lines }) => lines.map(flowKeyText))).size).to.equal(3 * 271);
    const opening = openingStock(carts, { popularCount: 1, popularShare: 0.5 });
    expect([...opening.values()].every(Number.isInteger)).to.equal(true);
  });

  it('finds no contradiction when the day adds up: one short line refuses a whole cart', () => {
    expect(contradictions(ledger(), finalStock())).to.deep.equal([]);
  });

  it('finds refusals of available units, missing stock, and carts that are not whole', () => {
    expect(contradictions(ledger({ refused: [{ cart: refused, short: ['A'] }] }), finalStock())).to.deep.equal([
      'order two: refused 1 of A, of which 3 are left',
    ]);
    expect(
      contradictions(
        ledger(),
        finalStock({
          leftovers: new Map([
            ['A', 3],
            ['B', 2],
          ]),
        }),
      ),
    ).to.deep.equal(['B: 2 left, the shops count 3']);
    expect(contradictions(ledger(), finalStock({ flows: new Map(flowsOf(sold).slice(1)) }))).to.deep.equal([
      'order one: sold, but only 1 of its 2 lines are stored',
      '1 flows are stored, the shops count 2',
    ]);
    expect(
      contradictions(ledger(), finalStock({ flows: new Map([...flowsOf(sold), ...flowsOf(refused).slice(0, 1)]) })),
    ).to.include('order two: refused, but 1 of its 3 lines are stored');
    const row = {
      sku_id: 'A',
      sub_row: 0,
      opening: 5n,
      adjusted: 0n,
      deducted: 2n,
      returned: 0n,
      moved_in: 0n,
      moved_out: 0n,
      leaved: 4n,
      flow_count: 1,
    };
    expect(contradictions(ledger(), finalStock({ books: [sumBooks([row])] }))).to.deep.equal([
      'shard 0, A: 4 left, the journal says 3',
    ]);
  });

  it('reports refusals that contradict themselves', () => {
    expect(
      refusalOfCart(refused, {
        lines: [
          { sku_id: 'B', leaved_amount: 3 },
          { sku_id: 'B', leaved_amount: 3 },
        ],
      }),
    ).to.deep.equal({ short: ['B'], faults: [] });
    expect(refusalOfCart(refused, { lines: [{ sku_id: 'B', leaved_amount: 4 }] }).faults).to.have.length(1);
    expect(refusalOfCart(refused, { lines: [{ sku_id: 'C', leaved_amount: 0 }] }).faults).to.have.length(1);
    expect(refusalOfCart(refused, {}).faults).to.have.length(1);
  });

  it('prints rates and latencies of orders, those of one line and of several lines apart', () => {
    const answered = [
      { lineCount: 1, latencyMs: 4 },
      { lineCount: 3, latencyMs: 20 },
      { lineCount: 2, latencyMs: 1_000.04 },
      { lineCount: 2, latencyMs: 8 },
    ];
    const day = { carts: [sold, refused], retryCount: 0, seconds: 0.5, leftovers: new Map() };
    expect(dayRows({ ...day, ledger: ledger({ answered }) }).slice(-5)).to.deep.equal([
      ['orders per second', '8.0'],
      ['lines per second', '16.0'],
      ['latency p50 / p99 / max (count), orders of one line', '4.0 / 4.0 / 4.0 ms (1)'],
      ['latency p50 / p99 / max (count), orders of several lines', '20.0 / 1000.0 / 1000.0 ms (3)'],
      ['latency p50 / p99 / max (count), all orders', '20.0 / 1000.0 / 1000.0 ms (4)'],
    ]);
    expect(dayRows({ ...day, ledger: ledger({ answered: [] }) }).at(-1)?.[1]).to.equal('none (0)');
  });
});
