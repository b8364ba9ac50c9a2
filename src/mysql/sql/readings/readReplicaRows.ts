import type { DeadlineMs } from '../../../core/types.ts';
import { slotOf } from '../../../core/slots.ts';
import type { Connection } from '../../connection/connection.ts';
import { bytesOf, textOf } from '../text/bytes.ts';

/** The subject of a row of the answer. */
const ABOUT = { heartbeat: 0, stock: 1, slot: 2, layout: 3, transfer: 4 } as const;

const HEARTBEAT = 'CAST(UNIX_TIMESTAMP(heartbeat_at) * 1000000 AS SIGNED)';
const HEARTBEAT_ALONE = `SELECT ${HEARTBEAT} AS number FROM precheck WHERE only_row = 1`;

/**
 * One statement, hence one snapshot: the heartbeat counts for all of it. All numbers are signed: a column with signed
 * and unsigned numbers is returned as text.
 */
const SQL = `
(SELECT ${ABOUT.heartbeat} AS about, NULL AS sku_id, ${HEARTBEAT} AS number,
        0 AS leaved_amount, 0 AS held_amount, 0 AS version
   FROM precheck WHERE only_row = 1)
UNION ALL
(SELECT ${ABOUT.stock}, sku_id, CAST(sub_row AS SIGNED),
        CAST(leaved_amount AS SIGNED), CAST(held_amount AS SIGNED), CAST(version AS SIGNED)
   FROM stock FORCE INDEX (PRIMARY) WHERE sku_id IN (?))
UNION ALL
(SELECT ${ABOUT.slot}, NULL, CAST(slot AS SIGNED), 0, 0, 0 FROM slot FORCE INDEX (PRIMARY) WHERE slot IN (?))
UNION ALL
(SELECT ${ABOUT.layout}, sku_id, 0, 0, 0, 0 FROM hot_sku FORCE INDEX (PRIMARY) WHERE sku_id IN (?))
UNION ALL
(SELECT ${ABOUT.transfer}, sku_id, 0, 0, 0, 0 FROM transfer FORCE INDEX (by_open) WHERE is_open = 1 AND sku_id IN (?))`;

interface Row {
  readonly about: number;
  readonly sku_id: Buffer | null;
  readonly number: number | null;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly version: number;
}

/** A SKU on one shard. */
export interface ReplicaSku {
  readonly stock: readonly {
    readonly sub_row: number;
    readonly leaved_amount: number;
    readonly held_amount: number;
    readonly version: number;
  }[];
  readonly isOwned: boolean;
  /** It is or was split. */
  readonly hasLayout: boolean;
  /** Units left a row of it here, and their arrival is not confirmed. */
  readonly hasOpenTransfer: boolean;
}

/** Some SKUs and the shard's heartbeat at one moment. */
export interface ReplicaSkus {
  /** The shard's last heartbeat in milliseconds since 1970, by its own clock; null: there was none. */
  readonly heartbeatMs: number | null;
  of(sku_id: string): ReplicaSku;
}

/** Reads SKUs in one snapshot. @param sku_ids at least one */
export async function readReplicaRows(
  connection: Connection,
  sku_ids: readonly string[],
  deadlineMs: DeadlineMs,
): Promise<ReplicaSkus> {
  const ids = sku_ids.map(bytesOf);
  const rows = await connection.rows<Row>(SQL, [ids, [...new Set(sku_ids.map(slotOf))], ids, ids], deadlineMs);
  const slots = new Set(rows.flatMap(({ about, number }) => (about === ABOUT.slot && number !== null ? [number] : [])));
  const bySku = new Map<string, Row[]>();
  for (const row of rows) {
    if (row.sku_id === null) continue;
    const sku_id = textOf(row.sku_id);
    bySku.set(sku_id, [...(bySku.get(sku_id) ?? []), row]);
  }
  return {
    heartbeatMs: msOf(rows.find(({ about }) => about === ABOUT.heartbeat)?.number),
    of(sku_id) {
      const its = bySku.get(sku_id) ?? [];
      return {
        stock: its.flatMap(({ about, number, ...amounts }) =>
          about === ABOUT.stock && number !== null ? [{ sub_row: number, ...amounts }] : [],
        ),
        isOwned: slots.has(slotOf(sku_id)),
        hasLayout: its.some(({ about }) => about === ABOUT.layout),
        hasOpenTransfer: its.some(({ about }) => about === ABOUT.transfer),
      };
    },
  };
}

/** The heartbeat alone, as in `ReplicaSkus`. */
export async function readHeartbeat(connection: Connection, deadlineMs: DeadlineMs): Promise<number | null> {
  const [row] = await connection.rows<{ number: number | null }>(HEARTBEAT_ALONE, [], deadlineMs);
  return msOf(row?.number);
}

function msOf(microseconds: number | null | undefined): number | null {
  return microseconds === null || microseconds === undefined ? null : microseconds / 1_000;
}
