import { expect } from 'chai';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import { CartStore } from '../../src/mysql/carts/cartStore.ts';
import { OrderRecordStore } from '../../src/mysql/carts/orderRecordStore.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { COMMIT_CASES } from '../support/engines/commitCases.ts';
import { commitIds } from '../support/engines/commitSteps.ts';
import type { CommitCase, CommitIds, CommitPorts } from '../support/engines/commitSteps.ts';
import { ENGINE_NAMES, ENGINE_OF, openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { runAhead } from '../support/faults/runAhead.ts';
import { stack } from '../support/run/setup.ts';
import { rowsOf, withoutIds } from '../support/rows/shardRows.ts';
import { addressOf } from '../support/rows/sideSession.ts';
import { CUTS, startWireProxy } from '../support/wire/wireProxy.ts';
import type { Cut } from '../support/wire/wireProxy.ts';

const SHARD = 0;
/** Cases under way at once. Each waits for a deadline: only after it an unanswered batch is certainly undone. */
const WIDTH = 5;
const CASES: readonly CommitCase[] = Object.values(COMMIT_CASES).flat();
/** For a busy machine: the outcome can be read at once. */
const REQUEST_MS = 10_000;
/** STATEMENT_MS is for the COMMIT that is cut, PATIENT_MS for everything else. */
const STATEMENT_MS = 300;
const PATIENT_MS = 5_000;
/** On a machine that is too busy, a change may be rejected before its COMMIT. */
const TRIES = 20;

/** Whether the server has committed when the wire is cut. */
const COMMITTED: Readonly<Record<Cut, boolean>> = {
  before: false,
  inside: false,
  after: true,
  'half-reply': true,
  silent: true,
};

/** A change without a fault, recorded from the product itself: the rows before and after it, and both answers. */
interface Undisturbed {
  readonly without: readonly string[];
  readonly done: readonly string[];
  readonly first: string;
  readonly again: string;
}

/** Every change must return its real outcome, wherever the connection is cut around its COMMIT. */
for (const engine of ENGINE_NAMES) {
  describe(`an unanswered COMMIT, engine: ${engine}`, () => {
    const cases = CASES.filter(({ isJoint }) => isJoint !== true || engine === 'batching');
    const opened: Shard[] = [];
    let undisturbed: CommitPorts;

    before(() => {
      undisturbed = handsOver(addressOf(SHARD).port, PATIENT_MS);
    });
    after(() => {
      for (const { pool } of opened) pool.close();
    });

    function handsOver(port: number, statementMs: number): CommitPorts {
      const [first] = stack().shards;
      if (first === undefined) throw new Error('the stack has no shard');
      const own = openShards({ ...stack(), shards: [{ ...first, address: { ...first.address, port } }] }, statementMs);
      opened.push(...own);
      const deadline = (): number => performance.now() + REQUEST_MS;
      return {
        shard: SHARD,
        engine: ENGINE_OF[engine](own),
        carts: new CartStore(own),
        records: new OrderRecordStore(own),
        auditor: new ShardAuditor(own),
        deadline,
      };
    }

    const answerTo = async (one: CommitCase, hands: CommitPorts, ids: CommitIds): Promise<string> =>
      withoutIds(JSON.stringify(await one.change(hands, ids)), ids);

    async function prepared(one: CommitCase): Promise<CommitIds> {
      const ids = commitIds(SHARD, fresh('commit'));
      await one.prepare?.(undisturbed, ids);
      return ids;
    }

    async function learn(one: CommitCase): Promise<Undisturbed> {
      const ids = await prepared(one);
      const without = await rowsOf(SHARD, ids);
      const first = await answerTo(one, undisturbed, ids);
      const done = await rowsOf(SHARD, ids);
      const again = await answerTo(one, undisturbed, ids);
      expect(done, `the change changes rows: ${first}`).to.not.deep.equal(without);
      expect(await rowsOf(SHARD, ids), `the second attempt changes no rows: ${again}`).to.deep.equal(done);
      return { without, done, first, again };
    }

    /** Makes a change whose COMMIT is cut. @returns its outcome */
    async function interrupt(one: CommitCase, ids: CommitIds, cut: Cut): Promise<string> {
      const proxy = await startWireProxy(addressOf(SHARD));
      try {
        const cutOff = handsOver(proxy.port, STATEMENT_MS);
        proxy.arm(cut);
        for (let time = 0; time < TRIES; time += 1) {
          const answer = await answerTo(one, cutOff, ids);
          if (proxy.cutsDone > 0) return answer;
          expect(answer, 'without COMMIT').to.contain('"not_done"');
        }
      } finally {
        await proxy.close();
      }
      throw new Error(`no COMMIT in ${TRIES} tries`);
    }

    async function expectOutcome(
      one: CommitCase,
      cut: Cut,
      { without, done, first, again }: Undisturbed,
    ): Promise<void> {
      const ids = await prepared(one);
      const answer = await interrupt(one, ids, cut);
      expect(await rowsOf(SHARD, ids), `the rows, cut ${cut} COMMIT: ${answer}`).to.deep.equal(
        COMMITTED[cut] ? done : without,
      );
      if (COMMITTED[cut]) expect(answer, `cut ${cut} COMMIT`).to.equal(first);
      else expect(JSON.parse(answer), `cut ${cut} COMMIT`).to.include(one.undone ?? { is: 'not_done' });
      expect(await answerTo(one, undisturbed, ids), `the same again, cut ${cut} COMMIT`).to.equal(
        COMMITTED[cut] ? again : first,
      );
      expect(await rowsOf(SHARD, ids), `the rows in the end, cut ${cut} COMMIT`).to.deep.equal(done);
    }

    const play = runAhead(cases, WIDTH, async (one) => {
      const undisturbedEnd = await learn(one);
      await Promise.all(CUTS.map((cut) => expectOutcome(one, cut, undisturbedEnd)));
    });

    for (const one of cases) it(`returns its real outcome: ${one.name}`, () => play(one));
  });
}
