import { expect } from 'chai';
import type { LedgerFlow, LedgerRows } from '../../src/core/ledger/ledger.ts';
import { flowKeyText } from '../../src/core/types.ts';
import type { Deduct, HoldLines } from '../../src/core/operation.ts';
import { resolveInDoubtOperation } from '../../src/mysql/batching/inDoubtOutcome.ts';

describe('in-doubt resolution of a batch', () => {
  const operation: Deduct = {
    kind: 'deduct',
    order_id: 'o',
    lines: [{ sku_id: 'a', order_detail_id: 'd', quantity: 1 }],
  };
  const [line] = operation.lines as [Deduct['lines'][number]];
  const done = { is: 'deducted', lines: [{ ...line, replayed: false, returned: 0 }] } as const;
  const read = (flow: Partial<LedgerFlow> | null, leaved_amount = 10, held_amount = 0): LedgerRows => ({
    flows: new Map([
      [
        flowKeyText(line),
        flow === null
          ? null
          : { ...line, order_id: 'o', attempt: 0, returned: 0, status: 'deducted', sub_row: 0, ...flow },
      ],
    ]),
    stockRows: new Map([
      ['a', { leaved_amount, held_amount, epoch: 0, isOpen: true, isOnSale: true, isSellable: true }],
    ]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
    records: new Map(),
  });

  it('returns the intended outcome for a flow that exists, and not_done for a missing one', () => {
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], done)).to.deep.equal(done);
    expect(resolveInDoubtOperation([{ operation, reading: read(null) }], done)).to.include({ is: 'not_done' });
    // Sold to another order meanwhile: not done, and not a refusal.
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 0) }], done)).to.include({ is: 'not_done' });
  });

  it('returns the intended outcome, not a refusal, for a line that was cancelled since', () => {
    expect(
      resolveInDoubtOperation([{ operation, reading: read({ status: 'cancelled', returned: 1 }) }], done),
    ).to.deep.equal(done);
  });

  it('returns a replay for a flow that existed before the batch', () => {
    const replay = { is: 'deducted', lines: [{ ...line, replayed: true, returned: 0 }] };
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], done, () => true)).to.deep.equal(replay);
    expect(
      resolveInDoubtOperation([{ operation, reading: read({ status: 'cancelled' }) }], done, () => true),
    ).to.include({
      is: 'not_done',
    });
  });

  it('returns a replay for a hold whose line another transaction of the order has sold since the batch began', () => {
    const transaction = { transaction_id: 'aa', coordinator: 1 };
    const other = { transaction_id: 'bb', coordinator: 1 };
    const hold: HoldLines = { kind: 'hold', order_id: 'o', attempt: 0, transaction, lines: operation.lines };
    const held = { is: 'held', lines: [{ ...line, replayed: false, returned: 0 }] } as const;
    const outcomeFor = (flow: Partial<LedgerFlow>): unknown =>
      resolveInDoubtOperation([{ operation: hold, reading: read(flow) }], held);
    expect(outcomeFor({ transaction: other })).to.deep.equal({
      is: 'held',
      lines: [{ ...held.lines[0], replayed: true }],
    });
    expect(outcomeFor({})).to.deep.equal({ is: 'held', lines: [{ ...held.lines[0], replayed: true }] });
    expect(outcomeFor({ transaction, status: 'pending' })).to.deep.equal(held);
    expect(outcomeFor({ transaction })).to.deep.equal(held);
  });

  it('returns no outcome that is internal to batches', () => {
    expect(
      resolveInDoubtOperation([{ operation, reading: read(null, 0, 10) }], { is: 'lacking', sku_ids: ['a'] }),
    ).to.include({
      is: 'not_done',
    });
    expect(resolveInDoubtOperation([{ operation, reading: read(null) }], { is: 'deferred' })).to.include({
      is: 'not_done',
    });
  });

  it('returns a refusal only while the rows still refuse', () => {
    const short = { is: 'refused', code: 'insufficient_stock', lines: [] } as const;
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 0) }], short)).to.include({
      is: 'refused',
      code: 'insufficient_stock',
    });
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 1) }], short)).to.include({ is: 'not_done' });
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], short)).to.include({ is: 'not_done' });
  });
});
