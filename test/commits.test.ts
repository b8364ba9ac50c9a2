import { expect } from 'chai';
import { ShardAuditor } from '../src/mysql/auditor.ts';
import { CartStore } from '../src/mysql/cartStore.ts';
import type { Shard } from '../src/mysql/shard.ts';
import { COMMIT_CASES, commitIds } from './support/commitCases.ts';
import type { CommitCase, CommitIds, Hands } from './support/commitCases.ts';
import { ENGINE_NAMES, ENGINE_OF, openShards } from './support/engines.ts';
import { fresh } from './support/gateway.ts';
import { playAhead } from './support/playAhead.ts';
import { stack } from './support/setup.ts';
import { rowsOf, withoutIds } from './support/shardRows.ts';
import { addressOf } from './support/sideSession.ts';
import { CUTS, startWireProxy } from './support/wireProxy.ts';
import type { Cut } from './support/wireProxy.ts';

const SHARD = 0;
/** Cases that go on at the same time: a batch is certainly undone only after its deadline, and that is waited for. */
const WIDTH = 5;
const CASES: readonly CommitCase[] = Object.values(COMMIT_CASES).flat();
/** For a busy machine; the truth is there to be had at once. */
const REQUEST_MS = 10_000;
/** For the COMMIT that is cut off, and for everything else. */
const STATEMENT_MS = 300;
const PATIENT_MS = 5_000;
/** A machine that is too busy turns a change away before its COMMIT. */
const TRIES = 20;

/** Whether the server has committed when the wire is cut. */
const COMMITTED: Readonly<Record<Cut, boolean>> = {
  before: false,
  inside: false,
  after: true,
  'half-reply': true,
  silent: true,
};

/** What a change does when nothing comes between, learnt from the product itself. */
interface Undisturbed {
  readonly without: readonly string[];
  readonly done: readonly string[];
  readonly first: string;
  readonly again: string;
}

/** Every change there is, told as what really happened, wherever the packet that commits it is cut off. */
for (const engine of ENGINE_NAMES) {
  describe(`an unanswered COMMIT, engine: ${engine}`, () => {
    const opened: Shard[] = [];
    let undisturbed: Hands;

    before(() => {
      undisturbed = handsOver(addressOf(SHARD).port, PATIENT_MS);
    });
    after(() => {
      for (const { pool } of opened) pool.close();
    });

    function handsOver(port: number, statementMs: number): Hands {
      const [first] = stack().shards;
      if (first === undefined) throw new Error('there is a shard');
      const own = openShards({ ...stack(), shards: [{ ...first, address: { ...first.address, port } }] }, statementMs);
      opened.push(...own);
      const deadline = (): number => performance.now() + REQUEST_MS;
      return {
        shard: SHARD,
        engine: ENGINE_OF[engine](own),
        carts: new CartStore(own),
        auditor: new ShardAuditor(own),
        deadline,
      };
    }

    const told = async (one: CommitCase, hands: Hands, ids: CommitIds): Promise<string> =>
      withoutIds(JSON.stringify(await one.change(hands, ids)), ids);

    async function prepared(one: CommitCase): Promise<CommitIds> {
      const ids = commitIds(SHARD, fresh('commit'));
      await one.prepare?.(undisturbed, ids);
      return ids;
    }

    async function learn(one: CommitCase): Promise<Undisturbed> {
      const ids = await prepared(one);
      const without = await rowsOf(SHARD, ids);
      const first = await told(one, undisturbed, ids);
      const done = await rowsOf(SHARD, ids);
      const again = await told(one, undisturbed, ids);
      expect(done, `it changes something: ${first}`).to.not.deep.equal(without);
      expect(await rowsOf(SHARD, ids), `once: ${again}`).to.deep.equal(done);
      return { without, done, first, again };
    }

    /** Makes a change whose COMMIT is cut off. @returns what its caller is told */
    async function interrupt(one: CommitCase, ids: CommitIds, cut: Cut): Promise<string> {
      const proxy = await startWireProxy(addressOf(SHARD));
      try {
        const cutOff = handsOver(proxy.port, STATEMENT_MS);
        proxy.arm(cut);
        for (let time = 0; time < TRIES; time += 1) {
          const said = await told(one, cutOff, ids);
          if (proxy.cutsDone > 0) return said;
          expect(said, 'without COMMIT').to.contain('"not_done"');
        }
      } finally {
        await proxy.close();
      }
      throw new Error(`no COMMIT in ${TRIES} tries`);
    }

    async function expectTold(one: CommitCase, cut: Cut, { without, done, first, again }: Undisturbed): Promise<void> {
      const ids = await prepared(one);
      const said = await interrupt(one, ids, cut);
      expect(await rowsOf(SHARD, ids), `the rows, cut ${cut} COMMIT: ${said}`).to.deep.equal(
        COMMITTED[cut] ? done : without,
      );
      if (COMMITTED[cut]) expect(said, `cut ${cut} COMMIT`).to.equal(first);
      else expect(JSON.parse(said), `cut ${cut} COMMIT`).to.include(one.undone ?? { is: 'not_done' });
      expect(await told(one, undisturbed, ids), `the same again, cut ${cut} COMMIT`).to.equal(
        COMMITTED[cut] ? again : first,
      );
      expect(await rowsOf(SHARD, ids), `the rows in the end, cut ${cut} COMMIT`).to.deep.equal(done);
    }

    const play = playAhead(CASES, WIDTH, async (one) => {
      const undisturbedEnd = await learn(one);
      await Promise.all(CUTS.map((cut) => expectTold(one, cut, undisturbedEnd)));
    });

    for (const one of CASES) it(`is told as what came of it: ${one.name}`, () => play(one));
  });
}
