import type { CartLine, ShardIndex } from '../../../core/types.ts';
import { jsonIn } from '../text/json.ts';

/** The fault of a record whose lines cannot be read, for operators. */
export const LINES_FAULT =
  'order_lines is not a JSON list of [sku_id, order_detail_id, quantity] or [sku_id, order_detail_id, quantity, shard]';

/** The lines that a record keeps; null when they cannot be read. */
export function cartLinesOf(order_lines: Buffer): CartLine[] | null {
  const lines = jsonIn(order_lines.toString('utf8'));
  if (!Array.isArray(lines) || !lines.every(isLine)) return null;
  return lines.map(([sku_id, order_detail_id, quantity, shard]) => ({
    sku_id,
    order_detail_id,
    quantity,
    ...(shard === undefined ? {} : { shard }),
  }));
}

/** The fault of lines on a shard that does not exist, or null. @param shardCount shards from it on do not exist */
export function shardFaultOf(lines: readonly CartLine[], shardCount: number): string | null {
  const unknown = lines.find(({ shard }) => shard !== undefined && (shard < 0 || shard >= shardCount))?.shard;
  return unknown === undefined ? null : `a line lies on shard ${unknown}, expected 0 to ${shardCount - 1}`;
}

function isLine(line: unknown): line is [string, string, number, ShardIndex?] {
  if (!Array.isArray(line)) return false;
  const [sku_id, order_detail_id, quantity, shard] = line as unknown[];
  const hasIds = typeof sku_id === 'string' && typeof order_detail_id === 'string';
  return hasIds && Number.isSafeInteger(quantity) && (shard === undefined || Number.isInteger(shard));
}

/** The text of lines as a record keeps them: JSON in UTF-8. */
export function linesText(lines: readonly CartLine[]): Buffer {
  return Buffer.from(
    JSON.stringify(
      lines.map(({ sku_id, order_detail_id, quantity, shard }) => [
        sku_id,
        order_detail_id,
        quantity,
        ...(shard === undefined ? [] : [shard]),
      ]),
    ),
    'utf8',
  );
}
