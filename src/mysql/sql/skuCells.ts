import { slotOf } from '../../core/slots.ts';
import { hexOf } from './json.ts';

/** What goes into a statement for a SKU. */
export interface SkuCell {
  readonly hex: string;
  readonly slot: number;
}

/** Makes each SKU's cells once: the rows of one statement name the same few again and again. */
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
