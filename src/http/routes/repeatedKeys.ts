import { flowKeyText } from '../../core/types.ts';
import type { FlowKey } from '../../core/types.ts';
import type { Fault } from '../../schema/compile.ts';

/**
 * A fault for each line whose key an earlier line has too: the results of two such lines could not be distinguished.
 */
export function repeatedKeys(lines: readonly FlowKey[]): Fault[] {
  if (lines.length === 1) return [];
  const first = new Map<string, number>();
  return lines.flatMap((line, index) => {
    const key = flowKeyText(line);
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, index);
      return [];
    }
    return [{ path: `lines[${index}]`, message: `has the same sku_id and order_detail_id as lines[${earlier}]` }];
  });
}
