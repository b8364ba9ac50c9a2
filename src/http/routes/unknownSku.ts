import { shown } from '../../core/text/shown.ts';
import { problem } from '../errors.ts';
import type { Reply } from '../errors.ts';

/** The answer to a request that names a SKU that was never opened. */
export function unknownSku(sku_id: string): Reply {
  return problem('unknown_sku', `no SKU has the sku_id ${shown(sku_id)}`);
}
