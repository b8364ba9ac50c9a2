import { slotOf } from '../../../core/slots.ts';
import { hexOf } from '../text/json.ts';

/** The values of a SKU in a statement. */
export interface SkuCell {
  readonly hex: string;
  readonly slot: number;
}

/** Computes the values of each SKU once: the rows of one statement repeat the same few SKUs. */
export class SkuCells {
  readonly #made = new Map<string, SkuCell>();

  of(sku_id: string): SkuCell {
    let cell = this.#made.get(sku_id);
    if (cell === undefined) {
      cell = { hex: hexOf(sku_id), slot: slotOf(sku_id) };
      this.#made.set(sku_id, cell);
    }
    return cell;
  }
}
