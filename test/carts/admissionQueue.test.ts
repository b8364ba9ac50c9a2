import { expect } from 'chai';
import { AdmissionQueue } from '../../src/service/admission/admissionQueue.ts';

const PLACES = 4;
const WAITING_MAX = 8;
const LONG_MS = 60_000;

describe('the admission queue', () => {
  let places: AdmissionQueue;
  let entered: string[];
  const leaving = new Map<string, () => void>();

  beforeEach(() => {
    places = new AdmissionQueue(PLACES, WAITING_MAX);
    entered = [];
    leaving.clear();
  });

  /** Asks for admission; each key may fill half of the places. @returns whether the request was admitted in time */
  const enter = (id: string, keys: readonly string[], { waitMs = LONG_MS, share = 1 / 2 } = {}): Promise<boolean> =>
    places.enter(new Map(keys.map((key) => [key, share])), performance.now() + waitMs).then((leave) => {
      if (leave === null) return false;
      entered.push(id);
      leaving.set(id, leave);
      return true;
    });
  /** Requests leave one after the other. Resolves when the requests that this lets in are admitted. */
  const leave = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids) leaving.get(id)?.();
    await completed();
  };
  const completed = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('admits requests up to its limit, then one for each that leaves, in the order of arrival', async () => {
    for (let number = 1; number <= 7; number += 1) void enter(`${number}`, []);
    await completed();
    expect(entered).to.deep.equal(['1', '2', '3', '4']);
    await leave('3');
    expect(entered.slice(4)).to.deep.equal(['5']);
    await leave('3', '1', '2');
    expect(entered.slice(5), 'leaving twice frees one place').to.deep.equal(['6', '7']);
  });

  it('lets a key with a small share wait up to the smallest share of the waiters', async () => {
    places = new AdmissionQueue(PLACES, WAITING_MAX, 1 / 4);
    const copies = Array.from({ length: 4 }, (_, copy) => enter(`a${copy}`, ['a'], { share: 0 }));
    await completed();
    expect(entered, 'one is admitted').to.deep.equal(['a0']);
    expect(await copies[3], 'two wait').to.equal(false);
    await leave('a0');
    await leave('a1');
    expect(entered).to.deep.equal(['a0', 'a1', 'a2']);
  });

  it('gives one key its share and no more, and admits requests with other keys', async () => {
    for (let number = 1; number <= 4; number += 1) void enter(`a${number}`, ['a']);
    void enter('b1', ['b']);
    void enter('b2', ['b']);
    await completed();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
    await leave('b1');
    expect(entered.slice(4), 'a place is free, but the share of the key is used up').to.deep.equal([]);
    await leave('a2');
    expect(entered.slice(4)).to.deep.equal(['a3']);
    void enter('c', ['c']);
    await completed();
    expect(entered.slice(5)).to.deep.equal(['c']);
    await leave('a1', 'a3');
    expect(entered.slice(6)).to.deep.equal(['a4']);
  });

  it('gives at least one place to a small share', async () => {
    void enter('1', ['a'], { share: 1 / 1_000 });
    void enter('2', ['a'], { share: 1 / 1_000 });
    await completed();
    expect(entered).to.deep.equal(['1']);
    await leave('1');
    expect(entered).to.deep.equal(['1', '2']);
  });

  it('blocks no other key for a request that still waits for one of its keys', async () => {
    void enter('a1', ['a']);
    void enter('a2', ['a']);
    void enter('first', ['a', 'c']);
    void enter('second', ['a', 'b']);
    void enter('b1', ['b']);
    void enter('b2', ['b']);
    await completed();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
  });

  it('lets no later request overtake the first in line for its keys', async () => {
    places = new AdmissionQueue(PLACES * 2, WAITING_MAX);
    const quarter = { share: 1 / 4 };
    for (const id of ['a1', 'a2']) void enter(id, ['a'], quarter);
    for (const id of ['b1', 'b2']) void enter(id, ['b'], quarter);
    void enter('both', ['a', 'b'], quarter);
    for (const id of ['a3', 'a4']) void enter(id, ['a'], quarter);
    for (const id of ['b3', 'b4']) void enter(id, ['b'], quarter);
    await completed();
    await leave('a1');
    void enter('a5', ['a'], quarter);
    await leave('b1');
    expect(entered.slice(4)).to.deep.equal(['both']);
  });

  it('admits the requests behind one that timed out', async () => {
    for (const id of ['a1', 'a2']) void enter(id, ['a']);
    void enter('b1', ['b']);
    await completed();
    const gaveUp = enter('first', ['a', 'b'], { waitMs: 20 });
    void enter('b2', ['b']);
    await completed();
    expect(entered).to.deep.equal(['a1', 'a2', 'b1']);
    expect(await gaveUp).to.equal(false);
    await completed();
    expect(entered.slice(3)).to.deep.equal(['b2']);
  });

  it('rejects a request when too many wait, in total or for one key, or when its time is over', async () => {
    for (let number = 1; number <= PLACES; number += 1) void enter(`${number}`, []);
    expect(await enter('late', [], { waitMs: 0 })).to.equal(false);
    for (let number = 1; number <= 4; number += 1) void enter(`a${number}`, ['a']);
    expect(await enter('one more', ['a'])).to.equal(false);
    for (let number = 1; number <= 4; number += 1) void enter(`b${number}`, ['b']);
    expect(await enter('one more', ['c'])).to.equal(false);
    await leave('1');
    void enter('c', ['c']);
    await leave('2', '3', '4');
    expect(entered.slice(PLACES)).to.deep.equal(['a1', 'a2', 'b1', 'b2']);
  });

  it('admits every request once, with any set of keys, and ends as empty as at first', async () => {
    const requests = Array.from({ length: 500 }, (_, number) => ({
      id: `${number}`,
      keys: ['a', 'b', 'c', 'd', 'e'].filter((_, bit) => ((number * 7) >> bit) % 2 === 1),
    }));
    places = new AdmissionQueue(PLACES, 2 * requests.length);
    for (const { id, keys } of requests) void enter(id, keys);
    await completed();
    const inside = new Set<string>();
    for (let seen = 0; seen < requests.length;) {
      for (const id of entered.slice(seen)) inside.add(id);
      seen = entered.length;
      expect(inside.size).to.be.within(1, PLACES);
      const used = requests.flatMap(({ id, keys }) => (inside.has(id) ? keys : []));
      for (const key of used) expect(used.filter((other) => other === key).length).to.be.at.most(PLACES / 2);
      const [oldest = ''] = inside;
      inside.delete(oldest);
      await leave(oldest);
    }
    for (const id of inside) await leave(id);
    expect(new Set(entered).size).to.equal(requests.length);
    for (const id of ['x1', 'x2', 'x3', 'x4']) void enter(id, id < 'x3' ? ['a', 'b'] : ['c', 'd']);
    await completed();
    expect(entered.slice(-4)).to.deep.equal(['x1', 'x2', 'x3', 'x4']);
  });
});
