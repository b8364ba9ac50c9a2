import type { DeadlineMs, Line, ShardIndex } from '../../core/nouns.ts';
import { refusedLines } from '../../core/outcome.ts';
import type { Refused, RefusedLine } from '../../core/outcome.ts';
import { LookFailed } from '../../core/sight.ts';
import type { ShelfLooker, Sight, SightSource } from '../../core/sight.ts';
import type { LayoutCache } from '../hot/layoutCache.ts';
import type { Routing } from '../routing.ts';
import { readKnownIds } from './knownIds.ts';
import { SoldOut } from './soldOut.ts';
import type { Tier, TierName, TierWatcher } from './tier.ts';

export interface PrecheckParts {
  readonly routing: Routing;
  readonly layouts: LayoutCache;
  readonly looker: ShelfLooker;
  readonly primary: SightSource;
  /** Whether what is known here may refuse by itself. */
  readonly hasMemory: boolean;
  /** The tiers behind memory, in the order in which they are asked. */
  readonly tiers: readonly Tier[];
  /** Tells others what the shards said. */
  readonly tell: (sights: readonly Sight[]) => void;
  readonly watcher: TierWatcher;
  /** Told of what no code foresaw. */
  readonly onFault: (error: unknown) => void;
}

/** How often what is known of SKUs that are asked for is looked at again, and how young it may be not to need that. */
const LOOK_MS = 150;
const YOUNG_MS = 350;
/** A SKU that nobody asked for in this time is not looked at any more. */
const USED_MS = 2_000;
const LOOK_WAIT_MS = 600;
const IDS_WAIT_MS = 20_000;
const IDS_WIDTH = 2;

/**
 * Refuses orders for SKUs that are sold out without asking their shards. It may refuse and never promises; only where nothing is
 * left and nothing held, only ids that nobody has ever sent, and only on what was so less than a second ago: units that come into
 * an empty row are sold no sooner than a second later, so nobody can have been accepted since.
 */
export class Precheck {
  readonly #parts: PrecheckParts;
  readonly #soldOut = new SoldOut();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #isAskedAgain = false;
  /** SKUs whose ids are to be read; each is here once. */
  readonly #unread: Sight[] = [];
  #reading = 0;

  constructor(parts: PrecheckParts) {
    this.#parts = parts;
  }

  /** SKUs and ids that are known now. */
  get known(): { readonly skus: number; readonly ids: number } {
    return { skus: this.#soldOut.size, ids: this.#soldOut.idCount };
  }

  start(): void {
    this.#timer = setInterval(() => this.#lookAgain(), LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
  }

  /**
   * @param lines of one order, each under ids of its own
   * @returns a refusal that names the lines that are certainly refused; null: the engine is to be asked. At once where memory knows.
   */
  refuse(lines: readonly Line[]): Refused | null | Promise<Refused | null> {
    if (this.#soldOut.size === 0) return null;
    const nowMs = performance.now();
    let unsure: Line[] | null = null;
    let refused: RefusedLine[] | null = null;
    for (const line of lines) {
      const hunch = this.#soldOut.judge(line.sku_id, line.order_detail_id, nowMs);
      if (hunch === 'pass') continue;
      if (hunch === 'ask' || !this.#parts.hasMemory) (unsure ??= []).push(line);
      else (refused ??= []).push(refusalOf(line));
    }
    if (this.#parts.hasMemory) {
      this.#parts.watcher.asked('memory');
      if (refused !== null) return this.#refusedBy('memory', refused, nowMs);
    }
    return unsure === null || this.#parts.tiers.length === 0 ? null : this.#askTiers(unsure);
  }

  /** Hears what an engine said of an order that was let pass. */
  learn({ lines }: Pick<Refused, 'lines'>): void {
    for (const { sku_id, code, leaved_amount } of lines) {
      if (code !== 'insufficient_stock' || leaved_amount !== 0) continue;
      if (this.#soldOut.suspect(sku_id, performance.now())) this.#lookAgain();
      else this.#passedFalsely();
    }
  }

  /** Units came in: what others are told is brought up to date at once. */
  noteIncrease(sku_id: string): void {
    if (this.#soldOut.sightOf(sku_id) === null) return;
    void this.#askShards([sku_id]).catch(this.#parts.onFault);
  }

  #passedFalsely(): void {
    if (this.#parts.hasMemory) this.#parts.watcher.passedFalsely('memory');
    for (const { name } of this.#parts.tiers) this.#parts.watcher.passedFalsely(name);
  }

  #refusedBy(tier: TierName, lines: readonly RefusedLine[], nowMs: DeadlineMs): Refused {
    const sight = this.#soldOut.sightOf(lines[0]?.sku_id ?? '');
    this.#parts.watcher.refused(tier, sight === null ? 0 : nowMs - sight.asOfMs);
    return refusedLines(lines);
  }

  async #askTiers(lines: readonly Line[]): Promise<Refused | null> {
    for (const tier of this.#parts.tiers) {
      const sights = await Promise.all(lines.map(({ sku_id }) => tier.ask(sku_id)));
      const nowMs = performance.now();
      const refused = lines.filter(({ sku_id, order_detail_id }, place) => {
        const sight = sights[place] ?? null;
        return (
          sight !== null &&
          this.#isReady(sight) &&
          this.#soldOut.judge(sku_id, order_detail_id, nowMs, sight) === 'refuse'
        );
      });
      this.#take(sights.flatMap((sight) => (sight !== null && this.#isReady(sight) ? [sight] : [])));
      if (refused.length > 0) return this.#refusedBy(tier.name, refused.map(refusalOf), nowMs);
    }
    return null;
  }

  /** On a shard where units may be sold as soon as they come in, nothing that is known is any use. */
  #isReady({ sku_id }: Sight): boolean {
    return this.#parts.looker.isReady(this.#parts.routing.map.shardOf(sku_id));
  }

  /** Looks at all that is due; who asks meanwhile has it done once more. */
  #lookAgain(): void {
    if (this.#looking !== null) {
      this.#isAskedAgain = true;
      return;
    }
    const nowMs = performance.now();
    const due = this.#soldOut.due(nowMs - USED_MS, nowMs - YOUNG_MS);
    if (due.length === 0) return;
    this.#looking = this.#lookAt(due)
      .catch(this.#parts.onFault)
      .finally(() => {
        this.#looking = null;
        if (!this.#isAskedAgain) return;
        this.#isAskedAgain = false;
        this.#lookAgain();
      });
  }

  /** The cheapest source that knows it young enough; what only the shards know is told to the others. */
  async #lookAt(sku_ids: readonly string[]): Promise<void> {
    let rest = sku_ids;
    for (const tier of this.#parts.tiers) {
      if (rest.length === 0) return;
      const sights = await tier.look(rest);
      const youngMs = performance.now() - YOUNG_MS;
      const isYoung = (sight: Sight | null): sight is Sight =>
        sight !== null && sight.isEmpty && sight.asOfMs >= youngMs && this.#isReady(sight);
      this.#take(sights.filter(isYoung));
      rest = rest.filter((_, place) => !isYoung(sights[place] ?? null));
    }
    if (rest.length > 0) await this.#askShards(rest);
  }

  async #askShards(sku_ids: readonly string[]): Promise<void> {
    const sights = (await this.#parts.primary.look(sku_ids, performance.now() + LOOK_WAIT_MS)).flatMap(
      (sight) => sight ?? [],
    );
    this.#take(sights);
    this.#parts.tell(sights);
  }

  /** Ids are read behind everybody's back; until they are known, orders go to the engine. */
  #take(sights: readonly Sight[]): void {
    this.#unread.push(...sights.filter((sight) => this.#soldOut.note(sight)));
    while (this.#reading < IDS_WIDTH && this.#unread.length > 0) void this.#readUnread();
  }

  async #readUnread(): Promise<void> {
    this.#reading += 1;
    for (let sight = this.#unread.shift(); sight !== undefined; sight = this.#unread.shift())
      await this.#readIds(sight);
    this.#reading -= 1;
  }

  async #readIds(sight: Sight): Promise<void> {
    const untilMs = performance.now() + IDS_WAIT_MS;
    try {
      const ids = await readKnownIds(this.#parts.looker, sight, await this.#shardsOf(sight.sku_id, untilMs), untilMs);
      this.#soldOut.noteIds(sight.sku_id, ids, performance.now());
    } catch (error) {
      this.#soldOut.noteIds(sight.sku_id, null, performance.now());
      if (!(error instanceof LookFailed)) this.#parts.onFault(error);
    }
  }

  /** Where a SKU may have flows. */
  async #shardsOf(sku_id: string, untilMs: DeadlineMs): Promise<readonly ShardIndex[]> {
    const loaded = await this.#parts.layouts.load(sku_id, untilMs);
    if (loaded.is === 'not_done') throw new LookFailed(loaded.reason);
    return loaded.layout?.shards ?? [this.#parts.routing.map.shardOf(sku_id)];
  }
}

function refusalOf({ sku_id, order_detail_id, quantity }: Line): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'insufficient_stock', leaved_amount: 0 };
}
