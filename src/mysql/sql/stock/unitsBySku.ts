import type { SqlValue } from '../../connection/connection.ts';
import { bytesOf } from '../text/bytes.ts';

/** The units of a row's SKU as an expression, for each place where a statement needs them. */
export interface UnitsBySku {
  readonly units: string;
  /** To be given once for each time that `units` occurs in the statement. */
  readonly values: readonly SqlValue[];
  readonly sku_ids: readonly Buffer[];
}

/** @param wanted units by SKU; at least one */
export function unitsBySku(wanted: ReadonlyMap<string, number>): UnitsBySku {
  const sku_ids = [...wanted.keys()].map(bytesOf);
  return {
    units: `CASE sku_id ${'WHEN ? THEN ? '.repeat(wanted.size)}END`,
    values: [...wanted].flatMap(([sku_id, units]) => [bytesOf(sku_id), units]),
    sku_ids,
  };
}
