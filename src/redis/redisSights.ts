import type { DeadlineMs } from '../core/nouns.ts';
import type { Sight, SightStore } from '../core/sight.ts';
import { ClientCommander } from './commander.ts';
import type { Commander } from './commander.ts';
import { NoAnswer } from './failures.ts';
import { Lane } from './lane.ts';
import { inGroups, Lookups } from './lookups.ts';
import { Nodes } from './nodes.ts';
import type { RedisOptions } from './options.ts';
import { PART_COUNT, partOf, PartKeys } from './parts.ts';
import { Shelf } from './shelf.ts';
import { Watch } from './watch.ts';

/** What operators may know. */
export interface RedisState {
  readonly connected: boolean;
  /** Runs of nodes that were met. */
  readonly nodes: number;
  /** Parts of the keys, of 16, from which something may come. */
  readonly watchedParts: number;
  /** Parts whose node did not answer in time, and has not yet. */
  readonly silentParts: number;
  /** How often a node's clock was set. */
  readonly steps: number;
  /** Values that were not believed. */
  readonly rejected: number;
  /** Sights that were not stored for others. */
  readonly dropped: number;
}

/** Beyond what is remembered, so long are a clock's readings: what was written before the first of them is too old to be told. */
const BEYOND_MS = 3_000;
/** SKUs in one command. */
const SKUS_MAX = 256;

interface Part {
  readonly lane: Lane;
  readonly shelf: Shelf;
  readonly lookups: Lookups;
}

/**
 * What gateways tell each other of SKUs through Redis. Redis is not trusted: it may lose everything, be full of old copies or of
 * nonsense, stop, or be another one than before. What comes out was signed by a gateway for this SKU, written while this gateway
 * watched the node's clock, and is told as at least as old as it is.
 */
export class RedisSights implements SightStore {
  readonly #options: RedisOptions;
  readonly #commander: Commander;
  readonly #nodes: Nodes;
  readonly #parts: readonly Part[];
  readonly #watch: Watch;

  /** @param commander how scripts get to their node; absent: by the client, as the options say */
  constructor(options: RedisOptions, commander: Commander = new ClientCommander(options)) {
    if (/[{}]/.test(options.keyPrefix)) throw new RangeError('a key prefix holds no braces');
    this.#options = options;
    this.#commander = commander;
    this.#nodes = new Nodes(options.keepMs + BEYOND_MS, (run_id) =>
      options.onEvent?.({ kind: 'stepped', what: run_id }),
    );
    this.#parts = Array.from({ length: PART_COUNT }, (_, part) => this.#open(part));
    this.#watch = new Watch(this.#parts.map(({ lane }) => lane));
  }

  /** Begins to connect, and returns at once: until there is a connection nothing is known. */
  start(): void {
    this.#commander.start();
    this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    await this.#commander.stop();
  }

  state(): RedisState {
    const sum = (of: (part: Part) => number): number => this.#parts.reduce((total, part) => total + of(part), 0);
    return {
      connected: this.#commander.isConnected,
      nodes: this.#nodes.count,
      watchedParts: sum(({ lane }) => Number(!lane.isSilent && !lane.isUnwatched)),
      silentParts: sum(({ lane }) => Number(lane.isSilent)),
      steps: this.#nodes.steps,
      rejected: sum(({ shelf }) => shelf.rejected),
      dropped: sum(({ shelf }) => shelf.dropped),
    };
  }

  /**
   * @returns null for whatever is not known, be it that its node does not answer in time while others do
   * @throws NoAnswer when none answers in time; whatever the client throws
   */
  async look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (Sight | null)[]> {
    const known = new Map<string, Sight>();
    const groups = this.#byPart(
      sku_ids.filter((sku_id) => this.#options.secretOf(sku_id) !== null),
      (sku_id) => sku_id,
    );
    if (groups.size === 0) return sku_ids.map(() => null);
    const waitMs = Math.min(this.#options.commandMs, deadlineMs - performance.now());
    if (waitMs <= 0) throw new NoAnswer('the deadline passed before Redis was asked');
    let answered = 0;
    let failure: unknown = new NoAnswer(`Redis did not answer within ${Math.round(waitMs)} ms`);
    const found = [...groups].map(([{ lookups }, group]) =>
      lookups.add(group).then(
        (some) => {
          answered += 1;
          for (const sku_id of group) this.#keep(known, some.get(sku_id));
        },
        (error: unknown) => void (failure = error),
      ),
    );
    await doneWithin(Promise.all(found), waitMs);
    if (answered === 0) throw failure;
    return sku_ids.map((sku_id) => known.get(sku_id) ?? null);
  }

  async note(sights: readonly Sight[]): Promise<void> {
    const groups = this.#byPart(
      sights.filter(({ sku_id }) => this.#options.secretOf(sku_id) !== null),
      ({ sku_id }) => sku_id,
    );
    await Promise.all(
      [...groups].flatMap(([{ shelf }, group]) => inGroups(group, SKUS_MAX).map((some) => shelf.note(some))),
    );
  }

  #open(part: number): Part {
    const { keyPrefix, commandMs } = this.#options;
    const lane = new Lane(new PartKeys(keyPrefix, part), this.#commander, this.#nodes, commandMs);
    const shelf = new Shelf(lane, this.#options);
    return { lane, shelf, lookups: new Lookups((sku_ids) => shelf.find(sku_ids)) };
  }

  #byPart<T>(things: readonly T[], sku_idOf: (thing: T) => string): Map<Part, T[]> {
    const groups = new Map<Part, T[]>();
    for (const thing of things) {
      const part = this.#parts[partOf(sku_idOf(thing))];
      if (part === undefined) continue;
      const group = groups.get(part);
      if (group === undefined) groups.set(part, [thing]);
      else group.push(thing);
    }
    return groups;
  }

  #keep(known: Map<string, Sight>, sight: Sight | undefined): void {
    if (sight !== undefined) known.set(sight.sku_id, sight);
  }
}

/** Waits for work that never fails, no longer than so many milliseconds. */
function doneWithin(work: Promise<unknown>, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
