import { createHash } from 'node:crypto';
import type { DeadlineMs } from '../core/nouns.ts';
import type { Sight } from '../core/sight.ts';
import type { Lane, Told } from './lane.ts';
import type { Known } from './lookups.ts';
import type { RedisOptions } from './options.ts';
import { LOOK, NOTE } from './script.ts';
import { decodeSight, encodeSight } from './value.ts';

/** Commands of one lane that store and are not answered; what comes meanwhile is not stored. */
const NOTES_MAX = 4;
/** A node's clock that was not read for so long tells no moment to others. */
const READ_WITHIN_MS = 1_500;
/** SKUs of which something unfit was read and is to be overwritten. */
const UNFIT_MAX = 256;
/** How far clocks may drift apart within a second or so, in microseconds: less is no step. */
const DRIFT_MICROS = 20_000;

/** What is stored in one part of the keys: read with doubt, written with care. */
export class Shelf {
  readonly #lane: Lane;
  readonly #options: RedisOptions;
  /** SHA-1 of what was found unfit, by SKU. */
  readonly #unfit = new Map<string, string>();
  #notes = 0;
  /** Values that were there and not believed. */
  rejected = 0;
  /** Sights that were not sent, because too many were under way or their node was not to be trusted. */
  dropped = 0;

  constructor(lane: Lane, options: RedisOptions) {
    this.#lane = lane;
    this.#options = options;
  }

  /** @throws as `Lane.ask` does */
  async find(sku_ids: readonly string[]): Promise<Known> {
    const { keys } = this.#lane;
    const told = await this.#lane.ask(
      LOOK,
      sku_ids.map((sku_id) => keys.ofSku(sku_id)),
      [],
    );
    const known = new Map<string, Sight>();
    if (this.#lane.isUnwatched) void this.#lane.renew();
    if (!told.isBelievable) return known;
    sku_ids.forEach((sku_id, place) => {
      const text = told.rest[place];
      if (text === '') return;
      const sight = typeof text === 'string' ? this.#read(text, sku_id, told) : null;
      if (sight !== null) known.set(sku_id, sight);
      else this.#reject(sku_id, text);
    });
    return known;
  }

  /** Stores what is later than what is stored. Never throws. */
  async note(sights: readonly Sight[]): Promise<void> {
    const { last, isUnwatched, isSilent } = this.#lane;
    const nowMs = performance.now();
    if (isUnwatched && !isSilent) void this.#lane.renew();
    const isFit =
      last !== null &&
      !isUnwatched &&
      !isSilent &&
      last.clock.isTrusted(nowMs) &&
      last.clock.wasReadWithin(READ_WITHIN_MS, nowMs);
    if (!isFit || this.#notes >= NOTES_MAX) {
      this.dropped += sights.length;
      return;
    }
    this.#notes += 1;
    try {
      const told = await this.#send(sights, last, nowMs);
      // Another gateway began an era since this part was last heard of.
      if (told?.isBelievable === true && told.era !== last.era) await this.#send(sights, told, performance.now());
    } catch {
      this.dropped += sights.length;
    } finally {
      this.#notes -= 1;
    }
  }

  /** @returns null when it is not to be believed */
  #read(text: string, sku_id: string, { run_id, era, reading, clock }: Told): Sight | null {
    const secret = this.#options.secretOf(sku_id);
    if (secret === null) return null;
    const stored = decodeSight(text, sku_id, { keyPrefix: this.#options.keyPrefix, secret });
    if (stored === null || stored.run_id !== run_id || stored.era !== era) return null;
    const asOfNodeMs = stored.asOfMicros / 1_000;
    if (asOfNodeMs > reading.nodeMs) return null;
    const { leaved_amount, isEmpty, version, mode, rows } = stored;
    const asOfMs = clock.here(asOfNodeMs, reading);
    // The clock's readings vouch for no longer.
    if (asOfMs < reading.heardMs - this.#options.keepMs) return null;
    return { sku_id, leaved_amount, isEmpty, version, mode, rows, asOfMs };
  }

  #reject(sku_id: string, text: unknown): void {
    this.rejected += 1;
    if (typeof text !== 'string' || this.#unfit.size >= UNFIT_MAX) return;
    this.#unfit.set(sku_id, createHash('sha1').update(text).digest('hex'));
  }

  /** @returns null when there was nothing to send */
  async #send(sights: readonly Sight[], { run_id, era, clock }: Told, nowMs: DeadlineMs): Promise<Told | null> {
    const { keyPrefix, keepMs } = this.#options;
    const keys: string[] = [];
    const texts = [run_id, era, String(Math.floor(clock.onNode(nowMs) * 1_000) - DRIFT_MICROS)];
    for (const { asOfMs, ...sight } of sights) {
      const secret = this.#options.secretOf(sight.sku_id);
      const asOfMicros = Math.floor(clock.onNode(asOfMs) * 1_000);
      if (secret === null || asOfMs > nowMs) continue;
      keys.push(this.#lane.keys.ofSku(sight.sku_id));
      const text = encodeSight({ ...sight, asOfMicros, run_id, era }, { keyPrefix, secret });
      texts.push(
        text,
        String(sight.version),
        String(asOfMicros),
        String(Math.floor(asOfMicros / 1_000 + keepMs)),
        this.#unfit.get(sight.sku_id) ?? '',
      );
      this.#unfit.delete(sight.sku_id);
    }
    return keys.length > 0 ? this.#lane.ask(NOTE, keys, texts) : null;
  }
}
