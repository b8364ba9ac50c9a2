import { createHash } from 'node:crypto';
import type { DeadlineMs } from '../core/types.ts';
import type { StockReading } from '../core/precheck/stockReading.ts';
import type { CommandQueue, TimedReply } from './commandQueue.ts';
import type { ReadingsBySku } from './lookups.ts';
import type { RedisOptions } from './options.ts';
import { READ, STORE } from './script.ts';
import { decodeReading, encodeReading } from './value.ts';

/** The most unanswered write commands of one partition. Readings that come meanwhile are not stored. */
const WRITES_MAX = 4;
/** Readings are written only if the node's clock was read within this time. */
const READ_WITHIN_MS = 1_500;
/** The most SKUs with an invalid stored value, which the next write replaces. */
const INVALID_MAX = 256;
/** How far clocks may drift apart within about a second, in microseconds. Less is no step. */
const DRIFT_MICROS = 20_000;

/** The cached stock readings of one partition. Values are verified when they are read, and never replace later ones. */
export class CachePartition {
  readonly #queue: CommandQueue;
  readonly #options: RedisOptions;
  /** The SHA-1 of invalid stored values, by SKU. */
  readonly #invalid = new Map<string, string>();
  #writes = 0;
  /** Values that were read and not used. */
  rejected = 0;
  /** Readings that were not sent, because too many writes were under way or the node's clock was not trusted. */
  dropped = 0;

  constructor(queue: CommandQueue, options: RedisOptions) {
    this.#queue = queue;
    this.#options = options;
  }

  /** @throws NoAnswer when the partition is silent or full, or does not answer in time; also any error of the client */
  async find(sku_ids: readonly string[]): Promise<ReadingsBySku> {
    const { keys } = this.#queue;
    const reply = await this.#queue.run(
      READ,
      sku_ids.map((sku_id) => keys.ofSku(sku_id)),
      [],
    );
    const known = new Map<string, StockReading>();
    if (this.#queue.needsEra) void this.#queue.renew();
    if (!reply.isUsable) return known;
    sku_ids.forEach((sku_id, place) => {
      const text = reply.rest[place];
      if (text === '') return;
      const reading = typeof text === 'string' ? this.#read(text, sku_id, reply) : null;
      if (reading !== null) known.set(sku_id, reading);
      else this.#reject(sku_id, text);
    });
    return known;
  }

  /** Stores the readings that are later than the stored ones. Never throws. */
  async store(readings: readonly StockReading[]): Promise<void> {
    const { last, needsEra, isSilent } = this.#queue;
    const nowMs = performance.now();
    if (needsEra && !isSilent) void this.#queue.renew();
    const mayWrite =
      last !== null &&
      !needsEra &&
      !isSilent &&
      last.clock.isTrusted(nowMs) &&
      last.clock.wasReadWithin(READ_WITHIN_MS, nowMs);
    if (!mayWrite || this.#writes >= WRITES_MAX) {
      this.dropped += readings.length;
      return;
    }
    this.#writes += 1;
    try {
      const reply = await this.#send(readings, last, nowMs);
      // Another gateway began an era after the latest reply.
      if (reply?.isUsable === true && reply.era !== last.era) await this.#send(readings, reply, performance.now());
    } catch {
      this.dropped += readings.length;
    } finally {
      this.#writes -= 1;
    }
  }

  /** @returns null when the value must not be used */
  #read(text: string, sku_id: string, { run_id, era, reading, clock }: TimedReply): StockReading | null {
    const secret = this.#options.secretOf(sku_id);
    if (secret === null) return null;
    const stored = decodeReading(text, sku_id, { keyPrefix: this.#options.keyPrefix, secret });
    if (stored === null || stored.run_id !== run_id || stored.era !== era) return null;
    const asOfNodeMs = stored.asOfMicros / 1_000;
    if (asOfNodeMs > reading.nodeMs) return null;
    const { leaved_amount, isEmpty, version, mode, rows } = stored;
    const asOfMs = clock.toOwnClock(asOfNodeMs, reading);
    // The readings of the clock do not reach further back.
    if (asOfMs < reading.receivedMs - this.#options.keepMs) return null;
    return { sku_id, leaved_amount, isEmpty, version, mode, rows, asOfMs };
  }

  #reject(sku_id: string, text: unknown): void {
    this.rejected += 1;
    if (typeof text !== 'string' || this.#invalid.size >= INVALID_MAX) return;
    this.#invalid.set(sku_id, createHash('sha1').update(text).digest('hex'));
  }

  /** @returns null when there was no reading to send */
  async #send(
    readings: readonly StockReading[],
    { run_id, era, clock }: TimedReply,
    nowMs: DeadlineMs,
  ): Promise<TimedReply | null> {
    const { keyPrefix, keepMs } = this.#options;
    const keys: string[] = [];
    const texts = [run_id, era, String(Math.floor(clock.toNodeClock(nowMs) * 1_000) - DRIFT_MICROS)];
    for (const { asOfMs, ...reading } of readings) {
      const secret = this.#options.secretOf(reading.sku_id);
      const asOfMicros = Math.floor(clock.toNodeClock(asOfMs) * 1_000);
      if (secret === null || asOfMs > nowMs) continue;
      keys.push(this.#queue.keys.ofSku(reading.sku_id));
      const text = encodeReading({ ...reading, asOfMicros, run_id, era }, { keyPrefix, secret });
      texts.push(
        text,
        String(reading.version),
        String(asOfMicros),
        String(Math.floor(asOfMicros / 1_000 + keepMs)),
        this.#invalid.get(reading.sku_id) ?? '',
      );
      this.#invalid.delete(reading.sku_id);
    }
    return keys.length > 0 ? this.#queue.run(STORE, keys, texts) : null;
  }
}
