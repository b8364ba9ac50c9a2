import { withTimeout } from '../core/async/withTimeout.ts';
import { randomBytes } from 'node:crypto';
import type { ScriptReply } from './scriptReply.ts';
import { parseReply } from './scriptReply.ts';
import type { Commander } from './commander.ts';
import { NoAnswer, tookTooLong } from './noAnswer.ts';
import type { NodeClock } from './nodeClock.ts';
import type { Nodes } from './nodes.ts';
import type { PartitionKeys } from './partitions.ts';
import { RENEW } from './script.ts';
import type { Script } from './script.ts';

/** A reply with the clock of its node. */
export interface TimedReply extends ScriptReply {
  readonly clock: NodeClock;
  /** Whether stored values of the partition may be used, and new ones may be written. */
  readonly isUsable: boolean;
}

/** The most unanswered commands of one partition. Further commands fail at once. */
const UNANSWERED_MAX = 16;
const ERA_MS = 3_600_000;
/** The most ended eras that are remembered, so that none counts again if an old copy of the data brings it back. */
const RETIRED_MAX = 32;

/**
 * The command queue of one partition of the keys, whichever node has it.
 *
 * Every stored value names an era, and is used only in that era. A queue begins a new era when it first meets a run of
 * a node, and whenever the chain of readings of that node's clock breaks. So every value that it uses was written while
 * it watched the clock. An era that another gateway begins later serves as well. A new era invalidates all stored
 * values of the partition. That costs about one second of readings.
 *
 * A queue whose command was not answered in time is silent. Until an answer arrives, only renewals are sent.
 */
export class CommandQueue {
  readonly keys: PartitionKeys;
  readonly #commander: Commander;
  readonly #nodes: Nodes;
  readonly #commandMs: number;
  readonly #retired = new Set<string>();
  /** The clock and the chain of readings in which this queue began an era. */
  #watched: { readonly clock: NodeClock; readonly chain: number } | null = null;
  #unanswered = 0;
  #isRenewing = false;
  #isSilent = false;
  #last: TimedReply | null = null;

  constructor(keys: PartitionKeys, commander: Commander, nodes: Nodes, commandMs: number) {
    this.keys = keys;
    this.#commander = commander;
    this.#nodes = nodes;
    this.#commandMs = commandMs;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** The latest reply; null: none yet. */
  get last(): TimedReply | null {
    return this.#last;
  }

  /** Whether a new era must begin before stored values can be used. */
  get needsEra(): boolean {
    return this.#last === null || !this.#counts(this.#last);
  }

  /**
   * Runs a script on the partition.
   *
   * @param keys those of SKUs; the key of the era goes before them
   * @throws NoAnswer when the queue is silent or full, or the answer does not come in time; also any error of the
   * client
   */
  async run(script: Script, keys: readonly string[], texts: readonly string[]): Promise<TimedReply> {
    if (this.#isSilent) throw new NoAnswer('this partition of Redis does not answer');
    return this.#run(script, keys, texts);
  }

  /** Begins a new era. Does nothing while a renewal is under way. Never throws. */
  async renew(): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      const {
        clock,
        reading,
        rest: [before],
      } = await this.#run(
        RENEW,
        [],
        [randomBytes(16).toString('hex'), String(ERA_MS)],
        () => (this.#isRenewing = false),
      );
      if (typeof before === 'string') this.#retire(before);
      // The era must begin after the chain, or with it.
      const isInChain = clock.chainSinceMs <= reading.sentMs || clock.chainSinceMs === reading.receivedMs;
      if (isInChain) this.#watched = { clock, chain: clock.chain };
    } catch {
      // The next round of the watch renews again.
    }
  }

  /** Whether an era began while the clock was watched. */
  #counts({ era, clock }: Pick<TimedReply, 'era' | 'clock'>): boolean {
    return (
      this.#watched?.clock === clock && this.#watched.chain === clock.chain && era !== '' && !this.#retired.has(era)
    );
  }

  #retire(era: string): void {
    this.#retired.add(era);
    const [oldest] = this.#retired;
    if (this.#retired.size > RETIRED_MAX && oldest !== undefined) this.#retired.delete(oldest);
  }

  /** @param onSettled called when the command has been answered or has failed, however late */
  async #run(
    script: Script,
    keys: readonly string[],
    texts: readonly string[],
    onSettled: () => void = () => undefined,
  ): Promise<TimedReply> {
    if (this.#unanswered >= UNANSWERED_MAX) {
      onSettled();
      throw new NoAnswer('too many commands wait for this partition of Redis');
    }
    this.#unanswered += 1;
    const askedMs = performance.now();
    const sent = this.#commander.run(script, [this.keys.era, ...keys], texts);
    sent
      .then(
        () => (this.#isSilent = false),
        () => undefined,
      )
      .finally(() => {
        this.#unanswered -= 1;
        onSettled();
      });
    const reply = await withTimeout(sent, this.#commandMs, () => tookTooLong(this.#commandMs)).catch(
      (error: unknown) => {
        if (error instanceof NoAnswer) this.#isSilent = true;
        throw error;
      },
    );
    const answer = parseReply(reply, askedMs, performance.now());
    const clock = this.#nodes.addReading(answer);
    const result = {
      ...answer,
      clock,
      isUsable: this.#counts({ era: answer.era, clock }) && clock.isTrusted(answer.reading.receivedMs),
    };
    // While a partition moves, replies may come from two nodes. The command that was sent later shows which node has
    // it.
    if (this.#last === null || answer.reading.sentMs >= this.#last.reading.sentMs) this.#last = result;
    return result;
  }
}
