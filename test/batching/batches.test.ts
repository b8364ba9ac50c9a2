import { expect } from 'chai';
import fc from 'fast-check';
import { decide } from '../../src/core/ledger/decide.ts';
import type { BatchOperation, Decision } from '../../src/core/ledger/decide.ts';
import { Ledger } from '../../src/core/ledger/ledger.ts';
import type { Operation } from '../../src/core/operation.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { BatchTables } from '../support/engines/batchTables.ts';
import { Oracle } from '../support/engines/oracle.ts';
import { histories, skusOnOneShard } from '../support/engines/traffic.ts';
import { renamed } from '../support/engines/sameAnswers.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const RUNS = LONG ? 12_000 : 400;
const BATCHES = LONG ? 100_000 : 2_000;

/** How operations arrive: how many at a time, and which of them are decided without a read. */
const arrivals = fc.infiniteStream(
  fc.record({
    size: fc.integer({ min: 1, max: 12 }),
    guessesAll: fc.boolean(),
    guesses: fc.infiniteStream(fc.boolean()),
  }),
);

interface Arrival {
  readonly size: number;
  readonly guessesAll: boolean;
  readonly guesses: Iterator<boolean>;
}

/** Sums over all histories. */
interface Counts {
  batches: number;
  wrongGuesses: number;
  deferred: number;
}

describe('a batch', () => {
  const { shard, sku_ids } = skusOnOneShard('batches', 3);

  it('decides as if its operations ran one after the other, over rows that were read or guessed', async function () {
    this.timeout(300_000);
    const counts: Counts = { batches: 0, wrongGuesses: 0, deferred: 0 };
    await fc.assert(
      fc.asyncProperty(histories(['0', '1', '2'], { stepsMin: 20, stepsMax: 60 }), arrivals, (numbered, stream) =>
        play(numbered, stream, counts),
      ),
      { numRuns: RUNS },
    );
    expect(counts.batches).to.be.at.least(BATCHES);
    expect(counts.wrongGuesses, 'guesses that were wrong').to.be.above(counts.batches / 400);
    expect(counts.deferred, 'operations that waited for others').to.be.above(counts.batches / 100);
  });

  /** Plays one history in batches, and compares each decision and the units left with the oracle. */
  async function play(numbered: readonly Operation[], stream: Iterator<Arrival>, counts: Counts): Promise<void> {
    const oracle = new Oracle(new SlotMap(16));
    const tables = new BatchTables();
    let waiting: BatchOperation[] = [];
    let again: BatchOperation[] = [];
    const sendBatch = async (): Promise<void> => {
      const arrival = nextOf(stream);
      const guessed = waiting.map(
        (operation) =>
          (operation.kind === 'deduct' || operation.kind === 'hold') &&
          !again.includes(operation) &&
          (arrival.guessesAll || arrival.guesses.next().value === true),
      );
      const attempt = (toRead: readonly BatchOperation[]) => {
        const ledger = new Ledger(tables.read(toRead));
        return { decisions: waiting.map((operation) => decide(ledger, operation)), writes: ledger.writeSet() };
      };
      let { decisions, writes } = attempt(waiting.filter((_, index) => guessed[index] !== true));
      if (!tables.write(writes)) {
        counts.wrongGuesses += 1;
        ({ decisions, writes } = attempt(waiting));
        expect(tables.write(writes), 'no other write came between').to.equal(true);
      }
      counts.batches += 1;
      again = [];
      for (const [index, operation] of waiting.entries()) {
        const decision = decisions[index];
        if (decision === undefined) throw new Error('an operation was not decided');
        if (decision.is === 'deferred') again.push(operation);
        else await expectDecision(oracle, operation, decision);
      }
      counts.deferred += again.length;
      expect(again.length, 'at least one operation is decided').to.be.below(waiting.length);
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
      if (waiting.length >= nextOf(stream).size) await sendBatch();
    }
    while (waiting.length > 0) await sendBatch();
    for (const sku_id of sku_ids) {
      const stock = await oracle.readStock(shard, sku_id, 0);
      expect(tables.left(sku_id)).to.equal(stock.is === 'found' ? (stock.rows[0]?.leaved_amount ?? null) : null);
    }
  }

  async function expectDecision(oracle: Oracle, operation: Operation, decision: Decision): Promise<void> {
    const [answer] = await oracle.apply(shard, [operation], 0);
    // Another statement reads which cart holds the missing units.
    if (decision.is === 'lacking' || decision.is === 'pending') expect(answer?.is).to.equal('pending');
    else
      expect(decision, JSON.stringify(operation)).to.deep.equal(
        answer?.is === 'not_done' ? { ...decision, is: 'not_done' } : answer,
      );
  }
});

function nextOf(stream: Iterator<Arrival>): Arrival {
  return stream.next().value as Arrival;
}
