import type { MissingRecord } from '../../core/restore/missingRecord.ts';

/**
 * Keeps one entry for each missing record. Several sources may report the same record: shards, the shop's books, the
 * reference copy. An entry with a `redo` has priority. The entry of a cart has all lines that the sources know.
 */
export function mergeMissing(lost: readonly MissingRecord[]): MissingRecord[] {
  const all = new Map<string, MissingRecord>();
  for (const record of lost) {
    const known = all.get(lostKey(record));
    all.set(lostKey(record), known === undefined ? record : merged(known, record));
  }
  return [...all.values()];
}

function merged(known: MissingRecord, other: MissingRecord): MissingRecord {
  if (known.redo === null) return other;
  if (known.redo.kind !== 'record' || other.redo?.kind !== 'record') return known;
  const lines = new Map(
    [...other.redo.cart.lines, ...known.redo.cart.lines].map((line) => [
      `${line.sku_id}\0${line.order_detail_id}`,
      line,
    ]),
  );
  return { ...known, redo: { kind: 'record', cart: { ...known.redo.cart, lines: [...lines.values()] } } };
}

function lostKey({ kind, sku_id, order_id, order_detail_id, id }: MissingRecord): string {
  // The key of a flow is its SKU and its order detail, in the report of any source.
  return kind === 'flow'
    ? [kind, sku_id, order_detail_id].join('\0')
    : [kind, sku_id, order_id, order_detail_id, id].join('\0');
}
