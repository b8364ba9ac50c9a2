/** Bits of a hash that pick a cell in one of the two rows of the sketch. */
const CELL_BITS = 12;
const CELLS = 2 ** CELL_BITS;

/** SKUs counted by name. More than are reported, so that the last SKUs of a report do not come and go. */
const NAMED_MAX = 16;

/** SKUs in a report, at most. */
export const HOTTEST_MAX = 10;
const LINES_PER_SECOND_MIN = 1;

/**
 * A SKU replaces the named SKU with the lowest count only if it is above that count by one eighth. So among many
 * similar SKUs, the named ones stay.
 */
const LEAD_SHIFT = 3;

/** Without new lines, a rate and the counts in the sketch fall to half in this time. */
const HALF_LIFE_MS = 1_000;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A SKU that many order lines name. */
export interface HotSku {
  readonly sku_id: string;
  /** A whole number over the last seconds; the latest lines count most. */
  readonly lines_per_second: number;
}

/**
 * Tracks how often order lines name each SKU, in 32 kilobytes and a short list, however many SKUs there are. The sketch
 * (two rows of cells that many SKUs share) only selects the SKUs that may be the hottest. Those few are counted by
 * name, so a rate is never too high, whichever SKUs share the cells. Lines that came before a SKU was named are missing
 * from its rate: for a hot SKU a few lines, once.
 *
 * The caller closes the windows and passes the time in.
 */
export class HotKeyTracker {
  /** One row after the other. */
  readonly #cells = new Int32Array(2 * CELLS);
  /** The named SKUs. A free entry has the name ''; the arrays below have the same order. */
  readonly #names = Array.from({ length: NAMED_MAX }, () => '');
  readonly #hashes = new Int32Array(NAMED_MAX);
  /** The estimate of the sketch when a line last named the SKU; never above the sketch's estimate of now. */
  readonly #estimates = new Int32Array(NAMED_MAX);
  /** Lines in this window. */
  readonly #lines = new Float64Array(NAMED_MAX);
  readonly #rates = new Float64Array(NAMED_MAX);
  #leastIndex = 0;
  #hottest: readonly HotSku[] = [];

  /** Counts some lines of a SKU. Called for every line of every order: no allocation, no clock. */
  add(sku_id: string, count: number): void {
    const hash = hashOf(sku_id);
    const one = hash & (CELLS - 1);
    const other = CELLS + (hash >>> (32 - CELL_BITS));
    const inOne = this.#cells[one] ?? 0;
    const inOther = this.#cells[other] ?? 0;
    const estimate = Math.min(inOne, inOther) + count;
    // No cell is raised above the estimate, so the larger cell gathers fewer counts of other SKUs.
    if (inOne < estimate) this.#cells[one] = estimate;
    if (inOther < estimate) this.#cells[other] = estimate;
    if (estimate >= (this.#estimates[this.#leastIndex] ?? 0)) this.#countByName(sku_id, hash, estimate, count);
  }

  /** Ends a window and calculates the rates. @param windowMs the length of the window, above 0 */
  closeWindow(windowMs: number): void {
    const kept = 2 ** (-windowMs / HALF_LIFE_MS);
    for (let cell = 0; cell < this.#cells.length; cell += 1) this.#cells[cell] = (this.#cells[cell] ?? 0) * kept;
    for (let index = 0; index < NAMED_MAX; index += 1) {
      const now = ((this.#lines[index] ?? 0) * 1_000) / windowMs;
      this.#rates[index] = (this.#rates[index] ?? 0) * kept + now * (1 - kept);
      this.#lines[index] = 0;
      this.#estimates[index] = (this.#estimates[index] ?? 0) * kept;
    }
    this.#findLeast();
    this.#hottest = this.#names
      .map((sku_id, index) => ({ sku_id, rate: this.#rates[index] ?? 0 }))
      .filter(({ rate }) => rate >= LINES_PER_SECOND_MIN)
      .sort((hot, hotter) => hotter.rate - hot.rate)
      .slice(0, HOTTEST_MAX)
      .map(({ sku_id, rate }) => ({ sku_id, lines_per_second: Math.round(rate) }));
  }

  /** The hottest SKUs at the end of the last window: at most ten, hottest first, none below one line a second. */
  hottest(): readonly HotSku[] {
    return this.#hottest;
  }

  #countByName(sku_id: string, hash: number, estimate: number, count: number): void {
    let index = 0;
    while (index < NAMED_MAX && !(this.#hashes[index] === hash && this.#names[index] === sku_id)) index += 1;
    if (index === NAMED_MAX) {
      index = this.#leastIndex;
      const least = this.#estimates[index] ?? 0;
      if (estimate <= least + (least >> LEAD_SHIFT)) return;
      this.#names[index] = sku_id;
      this.#hashes[index] = hash;
      this.#lines[index] = 0;
      this.#rates[index] = 0;
    }
    this.#lines[index] = (this.#lines[index] ?? 0) + count;
    this.#estimates[index] = estimate;
    if (index === this.#leastIndex) this.#findLeast();
  }

  #findLeast(): void {
    let least = 0;
    for (let index = 1; index < NAMED_MAX; index += 1)
      if ((this.#estimates[index] ?? 0) < (this.#estimates[least] ?? 0)) least = index;
    this.#leastIndex = least;
  }
}

/** FNV-1a over UTF-16 units, mixed: the low bits pick a cell in one row, the high bits a cell in the other row. */
function hashOf(sku_id: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < sku_id.length; index += 1) hash = Math.imul(hash ^ sku_id.charCodeAt(index), FNV_PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
