import murmurhash from 'murmurhash';

const SEED = 0;

/**
 * Ids that are known, as their hashes: four bytes each, and nothing for the garbage collector. What is not in it is certainly new;
 * what is in it may be another id with the same hash, one in a thousand million for each that is known.
 */
export class IdFilter {
  readonly #hashes: Uint32Array;

  private constructor(hashes: Uint32Array) {
    this.#hashes = hashes;
  }

  /** @param pages ids in any order */
  static of(pages: readonly Uint32Array[]): IdFilter {
    const hashes = new Uint32Array(pages.reduce((sum, page) => sum + page.length, 0));
    let place = 0;
    for (const page of pages) {
      hashes.set(page, place);
      place += page.length;
    }
    return new IdFilter(hashes.sort());
  }

  get size(): number {
    return this.#hashes.length;
  }

  has(id: string): boolean {
    const wanted = hashOf(id);
    let low = 0;
    let high = this.#hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#hashes[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#hashes[low] === wanted;
  }
}

/** The hashes of some ids, to be put together by `IdFilter.of`. */
export function hashesOf(ids: readonly string[]): Uint32Array {
  return Uint32Array.from(ids, hashOf);
}

/** murmur3 (x86, 32 bit, seed 0) of the UTF-8 bytes. */
function hashOf(id: string): number {
  return murmurhash.v3(Buffer.from(id, 'utf8'), SEED);
}
