/** Of the sketch's two rows each has as many cells as so many bits of a hash can tell apart. */
const CELL_BITS = 12;
const CELLS = 2 ** CELL_BITS;

/** SKUs counted by name; more than are told of, so that who is at the end of the answer does not come and go. */
const NAMED_MAX = 16;

/** SKUs told of, at most. */
export const HOTTEST_MAX = 10;
const LINES_PER_SECOND_MIN = 1;

/** A newcomer must be above the least of the named by an eighth of it: among many that are alike, the named stay. */
const LEAD_SHIFT = 3;

/** Without new lines a rate is down to half after this time, and so is what the sketch remembers. */
const HALF_LIFE_MS = 1_000;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A SKU that is asked for often. */
export interface HotSku {
  readonly sku_id: string;
  /** Over the last seconds, the latest weighing most; a whole number. */
  readonly lines_per_second: number;
}

/**
 * How often each SKU is asked for, in 32 kilobytes and a short list, however many SKUs there are. The sketch (two rows of
 * cells that many SKUs share) only says who may be among the hottest, and those few are counted by name. So a rate is never
 * above what was asked, whoever shares the cells. What came before a SKU was named is missing from its rate: a few lines of
 * a hot one, once.
 *
 * Windows are closed from outside; time is handed in.
 */
export class Heat {
  /** One row after the other. */
  readonly #cells = new Int32Array(2 * CELLS);
  /** Of the named, by their places; a free place has the name ''. */
  readonly #names = Array.from({ length: NAMED_MAX }, () => '');
  readonly #hashes = new Int32Array(NAMED_MAX);
  /** What the sketch said of each when it was last asked for; never more than the sketch says now. */
  readonly #estimates = new Int32Array(NAMED_MAX);
  /** Lines in this window. */
  readonly #lines = new Float64Array(NAMED_MAX);
  readonly #rates = new Float64Array(NAMED_MAX);
  #leastPlace = 0;
  #hottest: readonly HotSku[] = [];

  /** Counts some lines of a SKU. Called for every line of every order: no allocation, no clock. */
  add(sku_id: string, count: number): void {
    const hash = hashOf(sku_id);
    const one = hash & (CELLS - 1);
    const other = CELLS + (hash >>> (32 - CELL_BITS));
    const inOne = this.#cells[one] ?? 0;
    const inOther = this.#cells[other] ?? 0;
    const estimate = Math.min(inOne, inOther) + count;
    // No cell is raised above what the estimate needs, so the larger one keeps less of what is not its own.
    if (inOne < estimate) this.#cells[one] = estimate;
    if (inOther < estimate) this.#cells[other] = estimate;
    if (estimate >= (this.#estimates[this.#leastPlace] ?? 0)) this.#countByName(sku_id, hash, estimate, count);
  }

  /** Ends a window and works out the rates. @param windowMs how long it was, above 0 */
  closeWindow(windowMs: number): void {
    const kept = 2 ** (-windowMs / HALF_LIFE_MS);
    for (let cell = 0; cell < this.#cells.length; cell += 1) this.#cells[cell] = (this.#cells[cell] ?? 0) * kept;
    for (let place = 0; place < NAMED_MAX; place += 1) {
      const now = ((this.#lines[place] ?? 0) * 1_000) / windowMs;
      this.#rates[place] = (this.#rates[place] ?? 0) * kept + now * (1 - kept);
      this.#lines[place] = 0;
      this.#estimates[place] = (this.#estimates[place] ?? 0) * kept;
    }
    this.#findLeast();
    this.#hottest = this.#names
      .map((sku_id, place) => ({ sku_id, rate: this.#rates[place] ?? 0 }))
      .filter(({ rate }) => rate >= LINES_PER_SECOND_MIN)
      .sort((hot, hotter) => hotter.rate - hot.rate)
      .slice(0, HOTTEST_MAX)
      .map(({ sku_id, rate }) => ({ sku_id, lines_per_second: Math.round(rate) }));
  }

  /** The hottest SKUs when the last window was closed, ten at most, the hottest first; none below one line a second. */
  hottest(): readonly HotSku[] {
    return this.#hottest;
  }

  #countByName(sku_id: string, hash: number, estimate: number, count: number): void {
    let place = 0;
    while (place < NAMED_MAX && !(this.#hashes[place] === hash && this.#names[place] === sku_id)) place += 1;
    if (place === NAMED_MAX) {
      place = this.#leastPlace;
      const least = this.#estimates[place] ?? 0;
      if (estimate <= least + (least >> LEAD_SHIFT)) return;
      this.#names[place] = sku_id;
      this.#hashes[place] = hash;
      this.#lines[place] = 0;
      this.#rates[place] = 0;
    }
    this.#lines[place] = (this.#lines[place] ?? 0) + count;
    this.#estimates[place] = estimate;
    if (place === this.#leastPlace) this.#findLeast();
  }

  #findLeast(): void {
    let least = 0;
    for (let place = 1; place < NAMED_MAX; place += 1)
      if ((this.#estimates[place] ?? 0) < (this.#estimates[least] ?? 0)) least = place;
    this.#leastPlace = least;
  }
}

/** FNV-1a over UTF-16 units, stirred: its low bits are the place in one row, its high bits that in the other. */
function hashOf(sku_id: string): number {
  let hash = FNV_OFFSET;
  for (let place = 0; place < sku_id.length; place += 1) hash = Math.imul(hash ^ sku_id.charCodeAt(place), FNV_PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
