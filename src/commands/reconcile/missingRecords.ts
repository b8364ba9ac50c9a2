import { watermarkText, NO_WATERMARK } from '../../core/restore/watermarks.ts';
import type { MissingRecord, OrderedLine } from '../../core/restore/missingRecord.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { quoted } from '../../core/text/visible.ts';
import type { ShardAuditor } from '../../mysql/books/auditor.ts';
import type { ReferenceCopy } from '../../mysql/restore/referenceCopy.ts';
import type { RestoredShardStore } from '../../mysql/restore/restoredShards.ts';
import { recordShardOf } from '../../service/carts/recordShard.ts';
import { withOwnerRow, findOwner } from '../../service/restore/ownerRow.ts';
import type { SplitPorts } from '../../service/restore/missingLayouts.ts';
import { missingByOrders } from '../../service/restore/missingByOrders.ts';
import { missingByReference } from '../../service/restore/missingByReference.ts';
import { mergeMissing } from '../../service/restore/mergeMissing.ts';
import { missingBySiblings, backupTimeMs } from '../../service/restore/missingBySiblings.ts';
import type { RestoreStatus } from '../../service/restore/restoreStatus.ts';
import type { Routing } from '../../service/routing/routing.ts';
import { fail } from '../support/report.ts';
import { equalsReference, minWatermark } from './finding.ts';
import type { Finding } from './finding.ts';
import { withProgress } from './reportMissing.ts';

export interface MissingRecordsPorts {
  readonly store: RestoredShardStore;
  readonly auditor: ShardAuditor;
  readonly routing: Routing;
  /** The reference copy; null: there is none. */
  readonly reference: ReferenceCopy | null;
  /** The names of all shards, by their indexes. */
  readonly names: readonly string[];
  /** The moment of the backup, in milliseconds since 1970; null: `--since` is not given. */
  readonly sinceMs: number | null;
  readonly deadlineMs: DeadlineMs;
}

/** Finds the records that restored shards lack, by the reference copy, the other shards and the books of the shop. */
export class MissingRecords {
  readonly #ports: MissingRecordsPorts;
  readonly #reported = new Set<string>();

  constructor(ports: MissingRecordsPorts) {
    this.#ports = ports;
  }

  /** @param pastOf the comparison of each shard with the reference copy; absent: each shard is compared now */
  async find(
    chosen: readonly RestoreStatus[],
    lines: readonly OrderedLine[],
    pastOf?: ReadonlyMap<ShardIndex, Finding['reference']>,
  ): Promise<Finding[]> {
    const { store, auditor, routing, names, sinceMs, deadlineMs } = this.#ports;
    await routing.refresh();
    const restored = new Set(chosen.map(({ shard }) => shard));
    const splits = await Promise.all(names.map((_, shard) => store.readSplits(shard, deadlineMs)));
    const parts = {
      routing,
      auditor,
      shards: store,
      shardCount: names.length,
      restored,
      splits,
      sinceMs,
      nameOf: (shard: ShardIndex) => this.#nameOf(shard),
      onUnreadable: (shard: ShardIndex, row: string) => this.#reportUnreadable(shard, row),
    };
    splits.forEach(({ unreadable }, shard) =>
      unreadable.forEach(({ sku_id, reason }) =>
        this.#reportUnreadable(shard, `the layout of ${quoted(sku_id)}: ${reason}`),
      ),
    );
    const ofOrders = await withProgress('orders', lines.length, 'lines', (count) =>
      missingByOrders(parts, lines, deadlineMs, count),
    );
    const ofSiblings = await missingBySiblings(parts, chosen, deadlineMs);
    const findings: Finding[] = [];
    for (const status of chosen) {
      const { shard } = status;
      const past = pastOf === undefined ? await this.#compare(status) : (pastOf.get(shard) ?? null);
      // Copying the rows copied their layouts too.
      const fromSiblings = (ofSiblings.get(shard) ?? []).filter(
        ({ kind }) => kind !== 'layout' || !equalsReference(past),
      );
      const fromOrders = ofOrders.filter((one) => this.#isReportedOn(shard, one, { parts, chosen, restored }));
      const lost = mergeMissing([...(past?.missing ?? []), ...fromSiblings, ...fromOrders]).map((one) =>
        withOwnerRow(parts, shard, one),
      );
      findings.push({ status, reference: past, missing: lost });
    }
    return findings;
  }

  /** Whether a missing line is listed for this shard. A line without a certain owner is listed for the first shard. */
  #isReportedOn(
    shard: ShardIndex,
    one: MissingRecord,
    {
      parts,
      chosen,
      restored,
    }: { parts: SplitPorts; chosen: readonly RestoreStatus[]; restored: ReadonlySet<ShardIndex> },
  ): boolean {
    const home =
      one.redo?.kind === 'record'
        ? { shard: recordShardOf(this.#ports.routing, one.redo.cart) }
        : findOwner(parts, { sku_id: one.sku_id ?? '', order_detail_id: one.order_detail_id ?? '' });
    return home?.shard === shard || (shard === chosen[0]?.shard && !(home !== null && restored.has(home.shard)));
  }

  /** @throws when the reference copy is not known to be later than the backup, or ends too early */
  async #compare(status: RestoreStatus): Promise<Finding['reference']> {
    const { reference, store, sinceMs, deadlineMs } = this.#ports;
    const { shard } = status;
    if (reference === null) return null;
    const name = this.#nameOf(shard);
    if (backupTimeMs(status, sinceMs) === 0)
      throw new Error(
        `the moment of the backup of ${name} is not known, so a reference copy that is older than the backup ` +
          'could not be detected: give the moment of the backup with --since',
      );
    const reached = await reference.reached(shard, deadlineMs);
    const least = minWatermark(status, sinceMs);
    if (reached < least || reached === NO_WATERMARK)
      throw new Error(
        `the reference copy of ${name} ends at ${watermarkText(reached)}, ` +
          `and it must reach at least ${watermarkText(least)}`,
      );
    const rows = await reference.countRows(shard, deadlineMs);
    const found = await withProgress(`comparing ${name}`, rows, 'rows', (add) =>
      missingByReference({ reference, present: store }, shard, deadlineMs, () => add(1)),
    );
    return { ...found, reached };
  }

  /** Reports each row once, although the search reads it several times. */
  #reportUnreadable(shard: ShardIndex, row: string): void {
    const message =
      `${this.#nameOf(shard)}: a row cannot be read, so ` +
      `a record that is missing because of it may stay unnoticed: ${row}`;
    if (!this.#reported.has(message)) fail(message);
    this.#reported.add(message);
  }

  #nameOf(shard: ShardIndex): string {
    return this.#ports.names[shard] ?? String(shard);
  }
}
