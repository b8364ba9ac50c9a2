import type { FlowKey } from '../../../core/types.ts';
import { bytesOf } from '../text/bytes.ts';

const KEY = '(sku_id = ? AND order_detail_id = ?)';

/** A condition that holds for some keys; use it with the primary key forced. @param keys at least one */
export function anyOf(keys: readonly FlowKey[]): string {
  return `(${keys.map(() => KEY).join(' OR ')})`;
}

/** The values for its question marks. */
export function keyValues(keys: readonly FlowKey[]): Buffer[] {
  return keys.flatMap((key) => [bytesOf(key.sku_id), bytesOf(key.order_detail_id)]);
}
