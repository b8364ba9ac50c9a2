import { expect } from 'chai';
import { check } from './proof/checker.ts';
import type { AdjustmentSent, DeductionSent, Entry, FinalState, LookedUp, OpeningSent, StockRead } from './proof/history.ts';
import { runRound } from './proof/round.ts';
import { startWorld } from './proof/world.ts';
import type { World } from './proof/world.ts';
import { stack } from './support/setup.ts';
import { skuOn } from './support/traffic.ts';

/** A selection of about a minute; `npm run test:faults` has the rest. */
const ROUNDS: readonly { readonly kind: string; readonly seed: number }[] = [
  'mysqld-kill',
  'mysqld-freeze',
  'gateway-kill',
  'cut-after',
  'cut-silent',
  'hold-back',
  'reset',
  'mix',
].map((kind, index) => ({ kind, seed: 100 + index }));

describe('proof bench', () => {
  let world: World;
  before(async () => {
    world = await startWorld(stack(), 2);
  });
  after(() => world.stop());

  for (const { kind, seed } of ROUNDS) {
    it(`is content with a round of ${kind}, seed ${seed}`, async () => {
      const result = await runRound(world, { kind, seed, trafficMs: 2_000, clients: 16 });
      expect(result.violations).to.deep.equal([]);
      expect(result.verdict).to.equal('content');
      expect(result.operations).to.be.above(50);
    });
  }
});

describe('history checker', () => {
  const sku_id = skuOn(3, 'checked');
  const line = { sku_id, order_detail_id: 'd', quantity: 2 };
  const sent = (more: Partial<DeductionSent> = {}): DeductionSent => ({
    kind: 'deduction',
    order_id: 'o',
    lines: [line],
    invokedMs: 10,
    endedMs: 20,
    verdict: 'done',
    code: null,
    replayed: false,
    left: new Map(),
    ...more,
  });
  const flow = { ...line, order_id: 'o', shard: 3 };
  const stock = (leaved_amount: number, opening_amount = 5) => ({ stock: [{ sku_id, opening_amount, leaved_amount, shard: 3 }] });
  const final = (more: Partial<FinalState> = {}): FinalState => ({ ...stock(3), flows: [flow], adjustments: [], ...more });
  const opened: OpeningSent = { kind: 'opening', sku_id, leaved_amount: 5, invokedMs: -2, endedMs: -1, verdict: 'done', code: null, replayed: false };
  const read = (leaved_amount: number, invokedMs: number): StockRead => ({ kind: 'read', sku_id, leaved_amount, invokedMs, endedMs: invokedMs + 1, verdict: 'done', code: null });
  const unsold: Partial<FinalState> = { flows: [], ...stock(5) };

  const notFound = (invokedMs: number): LookedUp => ({ kind: 'lookup', line, stands: false, invokedMs, endedMs: invokedMs + 1, verdict: 'done', code: null });
  const restock = { sku_id, adjustment_id: 'a', delta: 4, shard: 3 };
  const restocked: FinalState = { ...stock(9), flows: [], adjustments: [restock] };
  const adjusted = (more: Partial<AdjustmentSent> = {}): AdjustmentSent => ({
    kind: 'adjustment',
    sku_id,
    adjustment_id: 'a',
    delta: 4,
    invokedMs: 10,
    endedMs: 20,
    verdict: 'done',
    code: null,
    replayed: false,
    ...more,
  });

  const BROKEN: readonly { readonly name: string; readonly invariant: string; readonly history: readonly Entry[]; readonly state: FinalState }[] = [
    { name: 'a row that is not what its journal says', invariant: 'I1', history: [sent()], state: final(stock(5)) },
    { name: 'a row below zero', invariant: 'I1', history: [sent()], state: final(stock(-1, 1)) },
    { name: 'a flow twice', invariant: 'I2', history: [sent()], state: final({ flows: [flow, flow], ...stock(1) }) },
    { name: 'a flow on a shard that does not own it', invariant: 'I2', history: [sent()], state: final({ flows: [{ ...flow, shard: 4 }] }) },
    { name: 'a lost deduction', invariant: 'I3', history: [sent()], state: final(unsold) },
    { name: 'a deduction that was refused and stands', invariant: 'I4', history: [sent({ verdict: 'refused', code: 'not_on_sale' })], state: final() },
    { name: 'a deduction that was "overloaded" and stands', invariant: 'I4', history: [sent({ verdict: 'undone', code: 'overloaded' })], state: final() },
    {
      name: 'a replay that is refused',
      invariant: 'I5',
      history: [sent(), sent({ invokedMs: 30, endedMs: 40, verdict: 'refused', code: 'insufficient_stock' })],
      state: final(),
    },
    { name: 'a replay answered as new', invariant: 'I5', history: [sent(), sent({ invokedMs: 30, endedMs: 40 })], state: final() },
    {
      name: 'half an order',
      invariant: 'I7',
      history: [sent({ verdict: 'unknown', lines: [line, { ...line, order_detail_id: 'e' }] })],
      state: final(),
    },
    {
      name: 'a refusal while enough was left',
      invariant: 'I8',
      history: [sent({ verdict: 'refused', code: 'insufficient_stock', left: new Map([[sku_id, 1]]) })],
      state: final(unsold),
    },
    { name: 'a number that was never true', invariant: 'I8', history: [sent(), read(5, 30)], state: final() },
    { name: 'a look-up that denies what was done', invariant: 'I5', history: [sent(), notFound(30)], state: final() },
    {
      name: 'a look-up that denies what was unknown, and stands',
      invariant: 'I4',
      history: [sent({ verdict: 'unknown', code: 'outcome_unknown' }), notFound(30)],
      state: final(),
    },
    {
      name: 'a look-up that denies what nobody answered, long after it, and which stands',
      invariant: 'I4',
      history: [sent({ verdict: 'unknown' }), notFound(5_020)],
      state: final(),
    },
    {
      name: 'an attempt that is refused though an earlier one stands',
      invariant: 'I4',
      history: [sent({ verdict: 'unknown', code: 'outcome_unknown' }), sent({ invokedMs: 30, endedMs: 40, verdict: 'refused', code: 'insufficient_stock' })],
      state: final(),
    },
    { name: 'a SKU that is on no shelf though it was put there', invariant: 'contract', history: [sent({ verdict: 'refused', code: 'unknown_sku' })], state: final(unsold) },
    { name: 'an opening that is lost', invariant: 'I3', history: [], state: { stock: [], flows: [], adjustments: [] } },
    { name: 'an adjustment done twice', invariant: 'I5', history: [adjusted(), adjusted({ invokedMs: 30, endedMs: 40 })], state: restocked },
    { name: 'an adjustment on a shard that does not own it', invariant: 'I2', history: [adjusted()], state: { ...restocked, adjustments: [{ ...restock, shard: 4 }] } },
    {
      name: 'another content taken for a replay',
      invariant: 'I5',
      history: [adjusted(), adjusted({ delta: 5, invokedMs: 30, endedMs: 40, replayed: true })],
      state: restocked,
    },
    { name: 'a conflict with nothing', invariant: 'contract', history: [sent({ verdict: 'refused', code: 'idempotency_conflict' })], state: final(unsold) },
    {
      name: 'a write-off that is refused while enough was left',
      invariant: 'I8',
      history: [adjusted({ delta: -4, verdict: 'refused', code: 'insufficient_stock' })],
      state: final(unsold),
    },
  ];

  for (const { name, invariant, history, state } of BROKEN) {
    it(`notices ${name}`, () => {
      expect(check([opened, ...history], state).map((violation) => violation.invariant)).to.include(invariant);
    });
  }

  it('is content with what happens in good order, and with an unknown either way', () => {
    expect(check([opened, read(5, 1), sent(), sent({ invokedMs: 30, endedMs: 40, replayed: true }), read(3, 50)], final())).to.deep.equal([]);
    expect(check([opened, sent({ verdict: 'unknown' })], final())).to.deep.equal([]);
    expect(check([opened, sent({ verdict: 'unknown' })], final(unsold))).to.deep.equal([]);
    expect(check([opened, sent(), read(5, 15), read(3, 15)], final())).to.deep.equal([]);
  });
});
