import { expect } from 'chai';
import { CLOSED, Generations, HALF_COPIED, SHOWED_BEFORE, STATE_REACHED } from '../src/core/generations.ts';

const reached = (...rows: readonly (readonly [number, number])[]): ReadonlyMap<number, number> => new Map(rows);

describe('how far shards have come', () => {
  it('tells a shard that went back, by what it was known to have reached or what another remembers', () => {
    const generations = new Generations(3);
    expect(generations.learn(0, reached([0, 100]), 0)).to.equal(null);
    expect(generations.learn(0, reached([0, 90]), 100)).to.deep.equal({ shows: 90, mark: null, had: 100 });
    expect(generations.learn(1, reached([1, 50], [2, 70]), 0)).to.equal(null);
    expect(generations.learn(2, reached([2, 60]), generations.known(2))).to.deep.equal({
      shows: 60,
      mark: null,
      had: 70,
    });
    expect(generations.learn(2, reached(), generations.known(2))).to.deep.equal({ shows: 0, mark: null, had: 70 });
  });

  it('tells a shard that is marked, though nobody knows more of it, and how far it has come', () => {
    for (const mark of [HALF_COPIED, CLOSED] as const) {
      const generations = new Generations(2);
      expect(generations.learn(0, reached([0, mark], [SHOWED_BEFORE, 300], [STATE_REACHED, 400]), 0)).to.deep.equal({
        shows: 300,
        mark,
        had: 0,
      });
      expect(generations.known(0)).to.equal(300);
      expect(new Generations(1).learn(0, reached([0, mark]), 0)).to.deep.equal({ shows: 0, mark, had: 0 });
    }
  });

  it('takes no mark for a moment, and what stood beside it for nothing', () => {
    const generations = new Generations(2);
    generations.learn(0, reached([0, CLOSED]), 0);
    expect([generations.known(0), [...generations.ofOthers(1)]]).to.deep.equal([0, []]);
    expect(generations.learn(0, reached([0, 100], [SHOWED_BEFORE, 300], [STATE_REACHED, 400]), 0)).to.equal(null);
    expect(generations.known(0)).to.equal(100);
  });

  it('takes no answer for a step back that was on its way while the shard was moved on', () => {
    const generations = new Generations(2);
    generations.learn(0, reached([0, 100]), 0);
    const had = generations.known(0);
    generations.learn(1, reached([0, 200], [1, 10]), 0);
    expect(generations.learn(0, reached([0, 100]), had)).to.equal(null);
    expect(generations.known(0)).to.equal(200);
  });

  it('moves no shard on before half of the others have said what they remember of it', () => {
    const generations = new Generations(5);
    generations.learn(0, reached([0, 10]), 0);
    generations.learn(1, reached([1, 10]), 0);
    expect(generations.mayMove(0)).to.equal(false);
    generations.learn(2, reached([2, 10]), 0);
    expect(generations.mayMove(0)).to.equal(true);
    expect(new Generations(1).mayMove(0)).to.equal(true);
  });

  it('passes on what is known of the others, and nothing of shards that do not exist', () => {
    const generations = new Generations(3);
    generations.learn(0, reached([0, 5], [2, 7], [9, 9]), 0);
    expect([...generations.ofOthers(0)]).to.deep.equal([[2, 7]]);
    expect([...generations.ofOthers(1)]).to.deep.equal([
      [0, 5],
      [2, 7],
    ]);
  });
});
