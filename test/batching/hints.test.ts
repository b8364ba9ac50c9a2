import { expect } from 'chai';
import type { BatchOperation } from '../../src/core/ledger/decide.ts';
import type { LedgerRows } from '../../src/core/ledger/ledger.ts';
import type { Deduct } from '../../src/core/operation.ts';
import { Hints } from '../../src/mysql/batching/hints.ts';

let number = 0;

function order(...sku_ids: string[]): Deduct {
  number += 1;
  return {
    kind: 'deduct',
    order_id: 'o',
    lines: sku_ids.map((sku_id, index) => ({ sku_id, order_detail_id: `${number}-${index}`, quantity: 1 })),
  };
}

describe('batch hints', () => {
  const readingOf = (leaved_amount: number, isOnSale = true): LedgerRows => ({
    flows: new Map(),
    stockRows: new Map([['a', { leaved_amount, held_amount: 0, epoch: 0, isOpen: true, isOnSale, isSellable: true }]]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
    records: new Map(),
  });
  const canGuess = (hints: Hints, operation: BatchOperation): boolean =>
    hints.requiredReadOf([{ operation }]) === 'nothing';

  it('allow a guess for new orders of SKUs that were read, but for no operation that depends on existing flows', () => {
    const hints = new Hints();
    expect(hints.requiredReadOf([{ operation: order('a') }])).to.equal('all');
    hints.storeReading(readingOf(5));
    expect(canGuess(hints, order('a'))).to.equal(true);
    expect(canGuess(hints, { kind: 'cancel', order_id: 'o', lines: [{ sku_id: 'a', order_detail_id: 'd' }] })).to.equal(
      false,
    );
    expect(canGuess(hints, { kind: 'adjust', sku_id: 'a', adjustment_id: 'a', delta: 1, reason: null })).to.equal(
      false,
    );
  });

  const deducted = ({ lines }: Deduct) =>
    ({ is: 'deducted', lines: lines.map((line) => ({ ...line, replayed: false, returned: 0 })) }) as const;

  it('require a read for an order of more units than were last read, less the units taken since', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(2));
    for (const expected of [true, true, false]) {
      const next = order('a');
      expect(canGuess(hints, next)).to.equal(expected);
      hints.storeDecision([{ operation: next }], deducted(next));
    }
    hints.storeReading(readingOf(5));
    expect(canGuess(hints, order('a'))).to.equal(true);
  });

  it('require a read for every order of a SKU that is not on sale', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(100, false));
    expect(canGuess(hints, order('a'))).to.equal(false);
  });

  it('require a read for an order whose ids were seen before', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(5));
    const seen = order('a');
    hints.storeDecision([{ operation: seen }], deducted(seen));
    expect([
      hints.requiredReadOf([{ operation: seen }]),
      hints.requiredReadOf([{ operation: order('a') }]),
    ]).to.deep.equal(['ids', 'nothing']);
    // The flows under its ids do not decide it: then everything is read.
    hints.storeDecision([{ operation: seen }], { is: 'deferred' });
    expect(hints.requiredReadOf([{ operation: seen }])).to.equal('all');
  });
});
