import { expect } from 'chai';
import { initialOwner, initialSlots, SLOT_COUNT, SlotMap, slotOf } from '../../src/core/slots.ts';

/**
 * The slot is murmur3 (x86, 32 bit, seed 0) of the UTF-8 bytes, modulo 1,024, computed with an independent
 * implementation. The values must never change: the stock and the flows of a SKU are found only in its slot.
 */
const GOLDEN: readonly (readonly [sku_id: string, slot: number])[] = [
  ['a', 434],
  ['A', 974],
  ['ab', 863],
  ['abc', 1018],
  ['abcd', 874],
  ['85123A', 960],
  ['85123a', 710],
  ['22065', 199],
  ['BANK CHARGES', 793],
  ['POST', 809],
  ['sku-0001', 58],
  ['0', 127],
  ['123', 491],
  ['0123', 160],
  ['é', 903],
  ['é', 616],
  ['ß', 38],
  ['手机', 11],
  ['苹果手机 15', 465],
  ['ｆｕｌｌ', 241],
  ['Ω', 881],
  ['😀', 762],
  ['sku-😀-😀', 128],
  ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 973],
  ['éééééééééééééééééééééééééééééééé', 533],
  ['naïve café', 566],
  ['‍zwj', 693],
];

describe('router', () => {
  for (const [sku_id, slot] of GOLDEN) {
    it(`puts ${JSON.stringify(sku_id)} into slot ${slot}`, () => {
      expect(slotOf(sku_id)).to.equal(slot);
    });
  }

  it('spreads ids evenly over 16 shards', () => {
    const counts = new Array<number>(16).fill(0);
    const map = new SlotMap(16);
    for (let id = 0; id < 64_000; id += 1) {
      const shard = map.shardOf(`sku-${id}`);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    for (const count of counts) expect(count).to.be.within(3_600, 4_400);
  });

  it('assigns every slot to exactly one of the first shards, and none to a shard that joins later', () => {
    const dealt = Array.from({ length: 17 }, (_, shard) => initialSlots(shard, 16));
    expect(dealt[16]).to.deep.equal([]);
    expect(dealt.flat().sort((a, b) => a - b)).to.deep.equal(Array.from({ length: SLOT_COUNT }, (_, slot) => slot));
    for (const [shard, slots] of dealt.entries())
      for (const slot of slots) expect(initialOwner(slot, 16)).to.equal(shard);
  });

  it('follows the claim with the later epoch, whichever arrives first', () => {
    const slot = slotOf('85123A');
    const early = new SlotMap(16);
    early.learn(3, [{ slot, epoch: 2 }]);
    early.learn(slot % 16, [{ slot, epoch: 1 }]);
    expect(early.shardOf('85123A')).to.equal(3);
    const late = new SlotMap(16);
    late.learn(slot % 16, [{ slot, epoch: 1 }]);
    late.learn(3, [{ slot, epoch: 2 }]);
    expect(late.shardOf('85123A')).to.equal(3);
  });
});
