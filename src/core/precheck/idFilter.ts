import murmurhash from 'murmurhash';

const SEED = 0;

/**
 * A set of existing ids, kept as hashes of four bytes each in one array, so that the garbage collector has nothing to
 * trace. An id that is not in the set is certainly new. An id that is in the set may be another one with the same hash;
 * the chance is one in about four thousand million for each id in the set.
 */
export class IdFilter {
  readonly #hashes: Uint32Array;

  private constructor(hashes: Uint32Array) {
    this.#hashes = hashes;
  }

  /** @param pages ids in any order */
  static of(pages: readonly Uint32Array[]): IdFilter {
    const hashes = new Uint32Array(pages.reduce((sum, page) => sum + page.length, 0));
    let offset = 0;
    for (const page of pages) {
      hashes.set(page, offset);
      offset += page.length;
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

/** The hashes of some ids, for `IdFilter.of`. */
export function hashesOf(ids: readonly string[]): Uint32Array {
  return Uint32Array.from(ids, hashOf);
}

/** murmur3 (x86, 32 bit, seed 0) of the UTF-8 bytes. */
function hashOf(id: string): number {
  return murmurhash.v3(Buffer.from(id, 'utf8'), SEED);
}
