import { expect } from 'chai';
import { Places } from '../src/service/places.ts';

const PLACES = 4;
const WAITING_MAX = 8;
const LONG_MS = 60_000;

describe('places', () => {
  let places: Places;
  let entered: string[];
  const leaving = new Map<string, () => void>();

  beforeEach(() => {
    places = new Places(PLACES, WAITING_MAX);
    entered = [];
    leaving.clear();
  });

  /** Comes for a place; half of them are the share of each thing named. @returns whether there was one in time */
  const come = (who: string, names: readonly string[], { waitMs = LONG_MS, share = 1 / 2 } = {}): Promise<boolean> =>
    places.take(new Map(names.map((name) => [name, share])), performance.now() + waitMs).then((leave) => {
      if (leave === null) return false;
      entered.push(who);
      leaving.set(who, leave);
      return true;
    });
  /** Some leave, one after the other; then everybody is in who gets in by that. */
  const leave = async (...who: readonly string[]): Promise<void> => {
    for (const one of who) leaving.get(one)?.();
    await settled();
  };
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('lets in so many, then one for each that leaves, in the order in which they came', async () => {
    for (let number = 1; number <= 7; number += 1) void come(`${number}`, []);
    await settled();
    expect(entered).to.deep.equal(['1', '2', '3', '4']);
    await leave('3');
    expect(entered.slice(4)).to.deep.equal(['5']);
    await leave('3', '1', '2');
    expect(entered.slice(5), 'whoever leaves twice left once').to.deep.equal(['6', '7']);
  });

  it('gives what many name its share and no more, and lets others pass', async () => {
    for (let number = 1; number <= 4; number += 1) void come(`a${number}`, ['a']);
    void come('b1', ['b']);
    void come('b2', ['b']);
    await settled();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
    await leave('b1');
    expect(entered.slice(4), 'a place is free and nobody may have it').to.deep.equal([]);
    await leave('a2');
    expect(entered.slice(4)).to.deep.equal(['a3']);
    void come('c', ['c']);
    await settled();
    expect(entered.slice(5)).to.deep.equal(['c']);
    await leave('a1', 'a3');
    expect(entered.slice(6)).to.deep.equal(['a4']);
  });

  it('gives at least one place to a small share', async () => {
    void come('1', ['a'], { share: 1 / 1_000 });
    void come('2', ['a'], { share: 1 / 1_000 });
    await settled();
    expect(entered).to.deep.equal(['1']);
    await leave('1');
    expect(entered).to.deep.equal(['1', '2']);
  });

  it('lets nobody in by halves: who waits for one thing keeps no other from those behind', async () => {
    void come('a1', ['a']);
    void come('a2', ['a']);
    void come('first', ['a', 'c']);
    void come('second', ['a', 'b']);
    void come('b1', ['b']);
    void come('b2', ['b']);
    await settled();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
  });

  it('does not let the first in line be overtaken in what he names', async () => {
    places = new Places(PLACES * 2, WAITING_MAX);
    const quarter = { share: 1 / 4 };
    for (const who of ['a1', 'a2']) void come(who, ['a'], quarter);
    for (const who of ['b1', 'b2']) void come(who, ['b'], quarter);
    void come('both', ['a', 'b'], quarter);
    for (const who of ['a3', 'a4']) void come(who, ['a'], quarter);
    for (const who of ['b3', 'b4']) void come(who, ['b'], quarter);
    await settled();
    await leave('a1');
    void come('a5', ['a'], quarter);
    await leave('b1');
    expect(entered.slice(4)).to.deep.equal(['both']);
  });

  it('lets those in who waited behind one who gave up', async () => {
    for (const who of ['a1', 'a2']) void come(who, ['a']);
    void come('b1', ['b']);
    await settled();
    const gaveUp = come('first', ['a', 'b'], { waitMs: 20 });
    void come('b2', ['b']);
    await settled();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1']);
    expect(await gaveUp).to.equal(false);
    await settled();
    expect(entered.slice(3)).to.deep.equal(['b2']);
  });

  it('turns away who comes when too many wait, all in all or for one thing, and whose time is over', async () => {
    for (let number = 1; number <= PLACES; number += 1) void come(`${number}`, []);
    expect(await come('late', [], { waitMs: 0 })).to.equal(false);
    for (let number = 1; number <= 4; number += 1) void come(`a${number}`, ['a']);
    expect(await come('one more', ['a'])).to.equal(false);
    for (let number = 1; number <= 4; number += 1) void come(`b${number}`, ['b']);
    expect(await come('one more', ['c'])).to.equal(false);
    await leave('1');
    void come('c', ['c']);
    await leave('2', '3', '4');
    expect(entered.slice(PLACES)).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
  });

  it('lets everybody in once, whatever they name, and then is as empty as at first', async () => {
    const guests = Array.from({ length: 500 }, (_, number) => ({
      who: `${number}`,
      names: ['a', 'b', 'c', 'd', 'e'].filter((_, bit) => ((number * 7) >> bit) % 2 === 1),
    }));
    places = new Places(PLACES, 2 * guests.length);
    for (const { who, names } of guests) void come(who, names);
    await settled();
    const inside = new Set<string>();
    for (let told = 0; told < guests.length;) {
      for (const who of entered.slice(told)) inside.add(who);
      told = entered.length;
      expect(inside.size).to.be.within(1, PLACES);
      const named = guests.flatMap(({ who, names }) => (inside.has(who) ? names : []));
      for (const name of named) expect(named.filter((other) => other === name).length).to.be.at.most(PLACES / 2);
      const [oldest = ''] = inside;
      inside.delete(oldest);
      await leave(oldest);
    }
    for (const who of inside) await leave(who);
    expect(new Set(entered).size).to.equal(guests.length);
    for (const who of ['x1', 'x2', 'x3', 'x4']) void come(who, who < 'x3' ? ['a', 'b'] : ['c', 'd']);
    await settled();
    expect(entered.slice(-4)).to.deep.equal(['x1', 'x2', 'x3', 'x4']);
  });
});
