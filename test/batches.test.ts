import { expect } from 'chai';
import fc from 'fast-check';
import { decide } from '../src/core/ledger/decide.ts';
import type { Batchable, Decision } from '../src/core/ledger/decide.ts';
import { Ledger } from '../src/core/ledger/ledger.ts';
import type { Operation } from '../src/core/operation.ts';
import { SlotMap } from '../src/core/slots.ts';
import { BatchTables } from './support/batchTables.ts';
import { Oracle } from './support/oracle.ts';
import { histories, skusOnOneShard } from './support/traffic.ts';
import { renamed } from './support/sameAnswers.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const RUNS = LONG ? 12_000 : 400;
const BATCHES = LONG ? 100_000 : 2_000;

/** How operations come: so many at a time, and which of them are decided without a look. */
const arrivals = fc.infiniteStream(
  fc.record({
    size: fc.integer({ min: 1, max: 12 }),
    guessesAll: fc.boolean(),
    guesses: fc.infiniteStream(fc.boolean()),
  }),
);

describe('a batch', () => {
  const { shard, sku_ids } = skusOnOneShard('batches', 3);

  it('decides as the operations one after the other would be, whether its rows were looked up or guessed', async function () {
    this.timeout(300_000);
    let batches = 0;
    let guessedWrong = 0;
    let deferred = 0;
    await fc.assert(
      fc.asyncProperty(
        histories(['0', '1', '2'], { stepsMin: 20, stepsMax: 60 }),
        arrivals,
        async (numbered, stream) => {
          const oracle = new Oracle(new SlotMap(16));
          const tables = new BatchTables();
          const expectAs = async (operation: Operation, decision: Decision): Promise<void> => {
            const [told] = await oracle.apply(shard, [operation], 0);
            // Who holds what is lacking is read by another statement.
            if (decision.is === 'lacking') expect(told?.is).to.equal('pending');
            else if (decision.is === 'pending') expect(told?.is).to.equal('pending');
            else
              expect(decision, JSON.stringify(operation)).to.deep.equal(
                told?.is === 'not_done' ? { ...decision, is: 'not_done' } : told,
              );
          };
          let waiting: Batchable[] = [];
          let again: Batchable[] = [];
          const sendBatch = async (): Promise<void> => {
            const { value: arrival } = stream.next() as { value: { guessesAll: boolean; guesses: Iterator<boolean> } };
            const guessed = waiting.map(
              (operation) =>
                (operation.kind === 'deduct' || operation.kind === 'hold') &&
                !again.includes(operation) &&
                (arrival.guessesAll || arrival.guesses.next().value === true),
            );
            const attempt = (looked: readonly Batchable[]) => {
              const ledger = new Ledger(tables.read(looked));
              return { decisions: waiting.map((operation) => decide(ledger, operation)), writes: ledger.writeSet() };
            };
            let { decisions, writes } = attempt(waiting.filter((_, index) => guessed[index] !== true));
            if (!tables.write(writes)) {
              guessedWrong += 1;
              ({ decisions, writes } = attempt(waiting));
              expect(tables.write(writes), 'nothing came between').to.equal(true);
            }
            batches += 1;
            again = [];
            for (const [index, operation] of waiting.entries()) {
              const decision = decisions[index];
              if (decision === undefined) throw new Error('an operation was not decided');
              if (decision.is === 'deferred') again.push(operation);
              else await expectAs(operation, decision);
            }
            deferred += again.length;
            expect(again.length, 'somebody gets on').to.be.below(waiting.length);
            waiting = again;
          };
          for (const operation of numbered.map((each) => renamed(each, sku_ids))) {
            if (operation.kind === 'open' || operation.kind === 'sale') {
              while (waiting.length > 0) await sendBatch();
              await oracle.apply(shard, [operation], 0);
              if (operation.kind === 'open') tables.open(operation);
              else tables.sell(operation);
              continue;
            }
            waiting.push(operation);
            const { value: arrival } = stream.next() as { value: { size: number } };
            if (waiting.length >= arrival.size) await sendBatch();
          }
          while (waiting.length > 0) await sendBatch();
          for (const sku_id of sku_ids) {
            const stock = await oracle.readStock(shard, sku_id, 0);
            expect(tables.left(sku_id)).to.equal(stock.is === 'found' ? (stock.rows[0]?.leaved_amount ?? null) : null);
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(batches).to.be.at.least(BATCHES);
    expect(guessedWrong, 'guesses that were wrong').to.be.above(batches / 400);
    expect(deferred, 'operations that waited for others').to.be.above(batches / 100);
  });
});
