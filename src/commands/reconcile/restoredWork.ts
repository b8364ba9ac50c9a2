import { chunksOf } from '../../core/async/chunksOf.ts';
import { MARK_CLOSED, MARK_COPYING, isUnsellable, watermarkText } from '../../core/restore/watermarks.ts';
import type { MissingRecord, OrderedLine } from '../../core/restore/missingRecord.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { SlotMap } from '../../core/slots.ts';
import { ShardAuditor } from '../../mysql/books/auditor.ts';
import type { ReportShards } from '../../mysql/books/reportShards.ts';
import type { ReferenceCopy } from '../../mysql/restore/referenceCopy.ts';
import { RestoredShardStore } from '../../mysql/restore/restoredShards.ts';
import { ShardReader } from '../../mysql/shardReader.ts';
import type { RepairLock } from '../../mysql/restore/repairLock.ts';
import { copyReference } from '../../service/restore/copyReference.ts';
import { describeStatus } from '../../service/restore/missingBySiblings.ts';
import { putBack } from '../../service/restore/putBack.ts';
import type { PutBackPorts } from '../../service/restore/putBack.ts';
import { readRestoreStatuses, isBelowWatermark } from '../../service/restore/restoreStatus.ts';
import type { RestoreStatus } from '../../service/restore/restoreStatus.ts';
import { Routing } from '../../service/routing/routing.ts';
import type { ShardConfig } from '../../config/shardsFile.ts';
import { fail } from '../support/report.ts';
import { closeAll } from './closing.ts';
import type { ClosingPorts } from './closing.ts';
import { isComplete } from './finding.ts';
import type { Finding } from './finding.ts';
import { MissingRecords } from './missingRecords.ts';
import { putBackPorts } from './putBackPorts.ts';
import type { RestoredOptions } from './restoredOptions.ts';
import { quotedList, notPutBack, withProgress, reportMissing } from './reportMissing.ts';

export interface RestoredWorkPorts {
  readonly books: ReportShards;
  /** The reference copy; null: there is none. */
  readonly reference: ReferenceCopy | null;
  /** Null: nothing is written. */
  readonly lock: RepairLock | null;
  readonly shards: readonly ShardConfig[];
  readonly initialShards: number;
  readonly sinceMs: number | null;
  readonly deadlineMs: DeadlineMs;
}

const COPY_AGAIN =
  'a reference copy was copied over it only in part; ' +
  'repeat the copy (--against --put-back), or restore the backup once more';

/** The steps of one run: close, find, report, put back, reopen. */
export class RestoredWork {
  readonly #past: ReferenceCopy | null;
  readonly #lock: RepairLock | null;
  readonly #shards: readonly ShardConfig[];
  readonly #sinceMs: number | null;
  readonly #deadlineMs: DeadlineMs;
  readonly #store: RestoredShardStore;
  readonly #missing: MissingRecords;
  readonly #putBackParts: PutBackPorts;
  readonly #closing: ClosingPorts;

  constructor({ books, reference, lock, shards, initialShards, sinceMs, deadlineMs }: RestoredWorkPorts) {
    this.#past = reference;
    this.#lock = lock;
    this.#shards = shards;
    this.#sinceMs = sinceMs;
    this.#deadlineMs = deadlineMs;
    this.#store = new RestoredShardStore(books.shards);
    const auditor = new ShardAuditor(books.shards);
    const routing = new Routing(new SlotMap(initialShards), new ShardReader(books.shards), shards.length);
    const names = shards.map(({ name }) => name);
    this.#missing = new MissingRecords({
      store: this.#store,
      auditor,
      routing,
      reference,
      names,
      sinceMs,
      deadlineMs,
    });
    this.#putBackParts = putBackPorts(books.shards, routing);
    this.#closing = { store: this.#store, names, deadlineMs };
  }

  /**
   * The named shards, or those that went back. A shard that was only closed is written to or reopened only when
   * `--shard` names it: an operator may be loading it.
   */
  async choose({ shard: names = [], putBack, accept }: RestoredOptions): Promise<RestoreStatus[]> {
    const statuses = await readRestoreStatuses(this.#store, this.#shards.length, this.#deadlineMs);
    if (names.length > 0) return statuses.filter(({ shard }) => names.includes(this.#nameOf(shard)));
    const refused = statuses.filter(isUnsellable);
    if (!putBack && !accept) return refused;
    for (const status of refused)
      if (!isBelowWatermark(status))
        fail(
          `${this.#nameOf(status.shard)} is closed, and no shard recorded that it went back: ` +
            'it is left unchanged unless --shard names it',
        );
    return refused.filter(isBelowWatermark);
  }

  /** Closes shards for all gateways, independent of the watermarks that the gateways have of them. */
  async close(shards: readonly ShardConfig[]): Promise<void> {
    await closeAll(
      this.#closing,
      shards.map((shard) => this.#shards.indexOf(shard)),
    );
    for (const { name } of shards)
      console.log(
        `${name} is closed: no gateway sells from it once GET /v1/shards of every gateway reports it as refused`,
      );
  }

  /**
   * Closes shards for as long as records are put back, so that gateways without a watermark of them refuse them too.
   *
   * @throws when one of them is open, or holds a part of a copy that must be finished first
   */
  async closeBeforePutBack(chosen: readonly RestoreStatus[]): Promise<void> {
    const open = chosen.find((status) => !isUnsellable(status));
    if (open !== undefined)
      throw new Error(`${this.#nameOf(open.shard)} is open, so nothing is put back; close it first with --close`);
    const half = this.#past === null ? chosen.find(({ mark }) => mark === MARK_COPYING) : undefined;
    if (half !== undefined) throw new Error(`${this.#nameOf(half.shard)}: ${COPY_AGAIN}`);
    await closeAll(
      this.#closing,
      chosen.map(({ shard }) => shard),
    );
  }

  find(chosen: readonly RestoreStatus[], lines: readonly OrderedLine[]): Promise<Finding[]> {
    return this.#missing.find(chosen, lines);
  }

  async report(
    { status, missing, reference }: Finding,
    when: 'missing' | 'still missing',
    list: string | undefined,
  ): Promise<void> {
    const name = this.#nameOf(status.shard);
    console.log(`${name}: ${describeStatus(status, this.#sinceMs)}`);
    if (reference !== null && reference.reached < status.watermarkBefore)
      console.log(`${name}: the reference copy goes no further than ${watermarkText(reference.reached)}`);
    if (reference !== null && reference.ahead.size > 0)
      console.log(
        `${name} has records that the reference copy lacks, of ${reference.ahead.size} SKUs; ` +
          `these SKUs are not copied: ${quotedList(reference.ahead)}`,
      );
    await reportMissing(name, when, missing, list);
  }

  /** Copies the rows of the reference copy on all shards, then repeats operations that only other sources report. */
  async putBack(findings: readonly Finding[], lines: readonly OrderedLine[]): Promise<void> {
    const copied = new Map<ShardIndex, Finding['reference']>();
    for (const { status, reference } of findings) {
      if (reference === null) continue;
      await this.#copy(status, reference);
      copied.set(status.shard, { ...reference, missing: [], differing: 0 });
    }
    const rest =
      this.#past === null
        ? findings
        : await this.#missing.find(
            findings.map(({ status }) => status),
            lines,
            copied,
          );
    const all = rest.map(({ status, missing }) => ({ shard: status.shard, missing }));
    const count = all.reduce((sum, { missing }) => sum + missing.length, 0);
    const done = await withProgress('putting back', count, 'records', (add) =>
      putBack(this.#putBackParts, all, this.#deadlineMs, () => add(1)),
    );
    for (const line of notPutBack(done)) console.log(line);
  }

  /** Reopens a shard when no record is missing or `--accept` is set; otherwise reports why it stays refused. */
  async reopen({ status, missing, reference }: Finding, { putBack, accept }: RestoredOptions): Promise<void> {
    const name = this.#nameOf(status.shard);
    if (!isUnsellable(status)) {
      if (missing.length > 0)
        fail(`${name} is open, although ${missing.length} records are missing; close it with --close`);
      else console.log(`${name} is open, and no source reports a missing record`);
      return;
    }
    if (status.mark === MARK_COPYING && !putBack) {
      fail(`${name} stays refused: ${COPY_AGAIN}`);
      return;
    }
    if (!accept && !(putBack && missing.length === 0 && isComplete({ status, reference }))) {
      const reason = missing.length > 0 ? `${missing.length} records are missing` : incompleteBecause(status);
      fail(`${name} stays refused: ${reason}; --put-back restores what it can, --accept reopens the shard as it is`);
      return;
    }
    this.#lock?.assert();
    await this.#pauseTorn(missing);
    await this.#store.accept(status.shard, status.watermarkBefore, this.#deadlineMs);
    console.log(`${name} is reopened${missing.length > 0 ? `, without ${missing.length} missing records` : ''}`);
  }

  async #copy({ shard }: RestoreStatus, { ahead, reached }: NonNullable<Finding['reference']>): Promise<void> {
    const past = this.#past;
    if (past === null) return;
    this.#lock?.assert();
    await this.#store.setMark(shard, MARK_COPYING, reached, this.#deadlineMs);
    const rows = await past.countRows(shard, this.#deadlineMs);
    await withProgress(`copying ${this.#nameOf(shard)}`, rows, 'rows', (add) =>
      copyReference({ reference: past, present: this.#store }, shard, ahead, this.#deadlineMs, () => add(1)),
    );
    await this.#store.setMark(shard, MARK_CLOSED, reached, this.#deadlineMs);
  }

  /** Pauses each SKU whose rows do not match its layout: its units could be sold twice. */
  async #pauseTorn(missing: readonly MissingRecord[]): Promise<void> {
    const torn = new Set(
      missing.flatMap(({ kind, sku_id }) =>
        (kind === 'layout' || kind === 'transfer' || kind === 'pointer') && sku_id !== null ? [sku_id] : [],
      ),
    );
    if (torn.size === 0) return;
    for (let shard = 0; shard < this.#shards.length; shard += 1)
      for (const some of chunksOf([...torn], 400)) await this.#store.pause(shard, some, this.#deadlineMs);
    console.log(`paused, because some units of these SKUs exist twice or not at all: ${quotedList(torn)}`);
  }

  #nameOf(shard: ShardIndex): string {
    return this.#shards[shard]?.name ?? String(shard);
  }
}

/** Why records may be missing although none was found. */
function incompleteBecause(status: RestoreStatus): string {
  if (!isBelowWatermark(status))
    return 'no shard recorded how far it had come, so it is not known whether its records are complete';
  return (
    'the sources may be incomplete: the reference copy (--against) ends too early, differs or was not read, ' +
    'and the books of the shop contain sales only'
  );
}
