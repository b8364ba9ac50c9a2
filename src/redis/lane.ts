import { randomBytes } from 'node:crypto';
import type { Answer } from './answer.ts';
import { readAnswer } from './answer.ts';
import type { Commander } from './commander.ts';
import { NoAnswer } from './failures.ts';
import { inTime } from './inTime.ts';
import type { NodeClock } from './nodeClock.ts';
import type { Nodes } from './nodes.ts';
import type { PartKeys } from './parts.ts';
import { RENEW } from './script.ts';
import type { Script } from './script.ts';

/** An answer, with the clock of the node that gave it. */
export interface Told extends Answer {
  readonly clock: NodeClock;
  /** Whether what is stored there may be believed, and may be written. */
  readonly isBelievable: boolean;
}

/** Commands of one lane that are not answered; more fail at once. */
const UNDER_WAY_MAX = 16;
const ERA_MS = 3_600_000;
/** Eras that are not believed again, should somebody bring them back. */
const RETIRED_MAX = 32;

/**
 * The way to one part of the keys, on whatever node that lies.
 *
 * Values count in the era that they name. A lane begins a new era when it first meets a run of a node, and whenever the chain of
 * readings of that node's clock breaks: so whatever it believes was written while it watched the clock. An era that somebody
 * else begins later is as good. It costs what is stored there, which is worth a second.
 *
 * A lane whose command was not answered in time is silent: nobody but a renewal asks there until something is answered.
 */
export class Lane {
  readonly keys: PartKeys;
  readonly #commander: Commander;
  readonly #nodes: Nodes;
  readonly #commandMs: number;
  readonly #retired = new Set<string>();
  /** The chain of readings in which an era was begun here. */
  #watched: { readonly clock: NodeClock; readonly chain: number } | null = null;
  #underWay = 0;
  #isRenewing = false;
  #isSilent = false;
  #last: Told | null = null;

  constructor(keys: PartKeys, commander: Commander, nodes: Nodes, commandMs: number) {
    this.keys = keys;
    this.#commander = commander;
    this.#nodes = nodes;
    this.#commandMs = commandMs;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** What was told last; null: nothing yet. */
  get last(): Told | null {
    return this.#last;
  }

  /** Whether an era is to be begun before anything here can be believed. */
  get isUnwatched(): boolean {
    return this.#last === null || !this.#counts(this.#last);
  }

  /**
   * Runs a script here.
   *
   * @param keys of SKUs; the era's key goes before them
   * @throws NoAnswer when the lane is silent or full, or the answer does not come in time; whatever the client throws
   */
  async ask(script: Script, keys: readonly string[], texts: readonly string[]): Promise<Told> {
    if (this.#isSilent) throw new NoAnswer('this part of Redis is silent');
    return this.#run(script, keys, texts);
  }

  /** Begins a new era; does nothing while it does so already. Never throws. */
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
      // The era began after the chain did, or with it.
      const isAfter = clock.chainSinceMs <= reading.askedMs || clock.chainSinceMs === reading.heardMs;
      if (isAfter) this.#watched = { clock, chain: clock.chain };
    } catch {
      // The next renewal finds out.
    }
  }

  /** Whether this era began while the clock was watched. */
  #counts({ era, clock }: Pick<Told, 'era' | 'clock'>): boolean {
    return (
      this.#watched?.clock === clock && this.#watched.chain === clock.chain && era !== '' && !this.#retired.has(era)
    );
  }

  #retire(era: string): void {
    this.#retired.add(era);
    const [oldest] = this.#retired;
    if (this.#retired.size > RETIRED_MAX && oldest !== undefined) this.#retired.delete(oldest);
  }

  /** @param onSettled called when the command was answered or failed, however late */
  async #run(
    script: Script,
    keys: readonly string[],
    texts: readonly string[],
    onSettled: () => void = () => undefined,
  ): Promise<Told> {
    if (this.#underWay >= UNDER_WAY_MAX) {
      onSettled();
      throw new NoAnswer('too much waits for this part of Redis');
    }
    this.#underWay += 1;
    const askedMs = performance.now();
    const sent = this.#commander.run(script, [this.keys.era, ...keys], texts);
    sent
      .then(
        () => (this.#isSilent = false),
        () => undefined,
      )
      .finally(() => {
        this.#underWay -= 1;
        onSettled();
      });
    const reply = await inTime(sent, this.#commandMs, 'Redis').catch((error: unknown) => {
      if (error instanceof NoAnswer) this.#isSilent = true;
      throw error;
    });
    const answer = readAnswer(reply, askedMs, performance.now());
    const clock = this.#nodes.learn(answer);
    const told = {
      ...answer,
      clock,
      isBelievable: this.#counts({ era: answer.era, clock }) && clock.isTrusted(answer.reading.heardMs),
    };
    // Answers of one lane may come from two nodes while it moves; the later question tells where it is.
    if (this.#last === null || answer.reading.askedMs >= this.#last.reading.askedMs) this.#last = told;
    return told;
  }
}
