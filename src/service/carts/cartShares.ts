import type { Line } from '../../core/types.ts';
import type { QuotaShares } from '../admission/quotaCounter.ts';

/** The part of the cart admissions that one order may use: only one, because its copies would wait for each other. */
const ORDER_SHARE = 0;
/** The part of the cart admissions that one SKU may use, so that a locked SKU leaves the rest to other carts. */
const SKU_SHARE = 1 / 2;

/** The shares of the cart admissions that an order may use: its own, and those of its SKUs. */
export function cartShares({
  order_id,
  lines,
}: {
  readonly order_id: string;
  readonly lines: readonly Line[];
}): QuotaShares {
  // Ids contain no control characters, so the name of an order never equals a SKU id.
  return new Map([[`order\0${order_id}`, ORDER_SHARE], ...lines.map(({ sku_id }) => [sku_id, SKU_SHARE] as const)]);
}
