import { CLOSED, HALF_COPIED, isRefused, momentOf, NOTHING } from '../../src/core/generations.ts';
import type { Lost, OrderedLine } from '../../src/core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../src/core/nouns.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { quoted } from '../../src/core/visible.ts';
import { ShardAuditor } from '../../src/mysql/auditor.ts';
import { openBookShards } from '../../src/mysql/bookShards.ts';
import type { BookShards } from '../../src/mysql/bookShards.ts';
import { PastShards } from '../../src/mysql/pastShards.ts';
import { RestoredShardStore } from '../../src/mysql/restoredShards.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { piecesOf } from '../../src/service/cartBatches.ts';
import { atHome, homeIn } from '../../src/service/restored/atHome.ts';
import { copyPast } from '../../src/service/restored/copyPast.ts';
import { lostToOrders } from '../../src/service/restored/lostToOrders.ts';
import { lostToPast } from '../../src/service/restored/lostToPast.ts';
import { inWords, lostToSiblings, onceEach, sinceMsOf } from '../../src/service/restored/lostToSiblings.ts';
import { putBack } from '../../src/service/restored/putBack.ts';
import type { PutBackParts } from '../../src/service/restored/putBack.ts';
import { readStandings, wasSeen } from '../../src/service/restored/whoWentBack.ts';
import type { Standing } from '../../src/service/restored/whoWentBack.ts';
import { Routing } from '../../src/service/routing.ts';
import { loadShards } from '../../src/shardsFile.ts';
import type { ShardConfig } from '../../src/shardsFile.ts';
import { WorkLock } from '../../src/mysql/workLock.ts';
import { fail } from '../support/report.ts';
import { closeAll } from './closing.ts';
import type { ClosingParts } from './closing.ts';
import { isAlike, isWhole, leastReached } from './finding.ts';
import type { Finding } from './finding.ts';
import { readOrdersFile } from './ordersFile.ts';
import { putBackParts } from './putBackParts.ts';
import { inQuotes, notBack, shown, tellLost } from './tellLost.ts';

export interface RestoredOptions {
  /** The file that lists the shards. */
  readonly shards: string;
  readonly timeout: number;
  /** Names; absent: those that went back. */
  readonly shard?: readonly string[];
  readonly orders?: string;
  /** A file that lists the shards as they can still be read in their state before. */
  readonly against?: string;
  /** When the backup was made. */
  readonly since?: Date;
  /** Keep the named shards from being sold from, and do nothing else. */
  readonly close: boolean;
  readonly putBack: boolean;
  readonly accept: boolean;
  readonly list?: string;
}

const AGAIN =
  'a state before was copied over it and not to the end; do that again (--against --put-back), or restore the backup once more';

/** Says what is missing on shards that were restored, brings it back where that is wanted, and lets them be sold from again. */
export async function reconcileRestored(options: RestoredOptions): Promise<void> {
  const deadlineMs = performance.now() + options.timeout * 1_000;
  const { initialShards, shards } = await loadShards(options.shards, process.env);
  const statementMs = options.timeout * 1_000;
  const lines = options.orders === undefined ? [] : await readOrdersFile(options.orders);
  const past =
    options.against === undefined
      ? null
      : new PastShards(
          (await loadShards(options.against, process.env)).shards.map(({ address }) => address),
          statementMs,
        );
  const named = namedOf(shards, options);
  const writes = [options.close, options.putBack, options.accept].some((step) => step);
  const books = openBookShards({ shards, initialShards, statementMs, relaxedAllowed: true, readOnlyAllowed: !writes });
  let lock: WorkLock | null = null;
  try {
    await Promise.all(books.shards.map((shard) => shard.tried));
    if (options.close || options.putBack || options.accept) lock = await WorkLock.take(named, statementMs, deadlineMs);
    const work = new RestoredWork({
      books,
      past,
      lock,
      shards,
      initialShards,
      sinceMs: options.since?.getTime() ?? null,
      deadlineMs,
    });
    if (options.close) await work.close(named);
    else await mend(work, lines, options);
  } finally {
    books.close();
    past?.close();
    lock?.free();
  }
}

/** The shards that may be worked on: those that are named, or all. */
function namedOf(
  shards: readonly ShardConfig[],
  { shard: names = [], close }: RestoredOptions,
): readonly ShardConfig[] {
  const unknown = names.find((name) => !shards.some((shard) => shard.name === name));
  if (unknown !== undefined) throw new Error(`no shard is called ${unknown}`);
  if (close && names.length === 0) throw new Error('--close needs the names of shards: --shard');
  return names.length === 0 ? shards : shards.filter(({ name }) => names.includes(name));
}

async function mend(work: RestoredWork, lines: readonly OrderedLine[], options: RestoredOptions): Promise<void> {
  const chosen = await work.choose(options);
  if (chosen.length === 0) {
    if (process.exitCode === undefined)
      console.log(
        'no shard shows less than the others remember of it; if it was restored before they looked, name it with --shard, and --close it first',
      );
    return;
  }
  if (options.putBack) await work.mustBePutBack(chosen);
  let findings = await work.find(chosen, lines);
  for (const finding of findings) await work.tell(finding, 'missing', options.list);
  if (options.putBack) {
    await work.putBack(findings, lines);
    findings = await work.find(chosen, lines);
    for (const finding of findings) await work.tell(finding, 'still missing', options.list);
  }
  // All of them first: a cart may lie on several.
  for (const finding of findings) await work.settle(finding, options);
}

interface RestoredWorkParts {
  readonly books: BookShards;
  readonly past: PastShards | null;
  /** Null: nothing is written. */
  readonly lock: WorkLock | null;
  readonly shards: readonly ShardConfig[];
  readonly initialShards: number;
  readonly sinceMs: number | null;
  readonly deadlineMs: DeadlineMs;
}

class RestoredWork {
  readonly #past: PastShards | null;
  readonly #lock: WorkLock | null;
  readonly #shards: readonly ShardConfig[];
  readonly #sinceMs: number | null;
  readonly #deadlineMs: DeadlineMs;
  readonly #store: RestoredShardStore;
  readonly #auditor: ShardAuditor;
  readonly #routing: Routing;
  readonly #putBackParts: PutBackParts;
  readonly #closing: ClosingParts;
  readonly #told = new Set<string>();

  constructor({ books, past, lock, shards, initialShards, sinceMs, deadlineMs }: RestoredWorkParts) {
    this.#past = past;
    this.#lock = lock;
    this.#shards = shards;
    this.#sinceMs = sinceMs;
    this.#deadlineMs = deadlineMs;
    this.#store = new RestoredShardStore(books.shards);
    this.#auditor = new ShardAuditor(books.shards);
    this.#routing = new Routing(new SlotMap(initialShards), new ShardReader(books.shards), shards.length);
    this.#putBackParts = putBackParts(books.shards, this.#routing);
    this.#closing = { store: this.#store, names: shards.map(({ name }) => name), deadlineMs };
  }

  /** The shards that are named, or those that went back. One that was only closed is let go, or written to, by its name alone: somebody may be loading it. */
  async choose({ shard: names = [], putBack, accept }: RestoredOptions): Promise<Standing[]> {
    const standings = await readStandings(this.#store, this.#shards.length, this.#deadlineMs);
    if (names.length > 0) return standings.filter(({ shard }) => names.includes(this.#nameOf(shard)));
    const back = standings.filter(isRefused);
    if (!putBack && !accept) return back;
    for (const standing of back)
      if (!wasSeen(standing))
        fail(
          `${this.#nameOf(standing.shard)} was closed, and nobody saw it go back: it is left as it is unless --shard names it`,
        );
    return back.filter(wasSeen);
  }

  /** Keeps gateways from selling from shards, whatever they know of them. */
  async close(shards: readonly ShardConfig[]): Promise<void> {
    await closeAll(
      this.#closing,
      shards.map((shard) => this.#shards.indexOf(shard)),
    );
    for (const { name } of shards)
      console.log(`${name} is not sold from any more, once GET /v1/shards of every gateway says that it is refused`);
  }

  /**
   * Keeps shards from being sold from while something is put back, by gateways too that know nothing of what they had reached.
   *
   * @throws when something is sold now, or what was begun must be ended first
   */
  async mustBePutBack(chosen: readonly Standing[]): Promise<void> {
    const open = chosen.find((standing) => !isRefused(standing));
    if (open !== undefined)
      throw new Error(`${this.#nameOf(open.shard)} may be sold from now, so nothing is put back; --close it first`);
    const half = this.#past === null ? chosen.find(({ mark }) => mark === HALF_COPIED) : undefined;
    if (half !== undefined) throw new Error(`${this.#nameOf(half.shard)}: ${AGAIN}`);
    await closeAll(
      this.#closing,
      chosen.map(({ shard }) => shard),
    );
  }

  /** @param pastOf how each shard stands to the state before, where that is known already */
  async find(
    chosen: readonly Standing[],
    lines: readonly OrderedLine[],
    pastOf?: ReadonlyMap<ShardIndex, Finding['past']>,
  ): Promise<Finding[]> {
    await this.#routing.refresh();
    const restored = new Set(chosen.map(({ shard }) => shard));
    const splits = await Promise.all(this.#shards.map((_, shard) => this.#store.readSplits(shard, this.#deadlineMs)));
    const parts = {
      routing: this.#routing,
      auditor: this.#auditor,
      shards: this.#store,
      shardCount: this.#shards.length,
      restored,
      splits,
      sinceMs: this.#sinceMs,
      nameOf: (shard: ShardIndex) => this.#nameOf(shard),
      onUnreadable: (shard: ShardIndex, row: string) => this.#tellUnreadable(shard, row),
    };
    splits.forEach(({ unreadable }, shard) =>
      unreadable.forEach(({ sku_id, reason }) =>
        this.#tellUnreadable(shard, `the layout of ${quoted(sku_id)}: ${reason}`),
      ),
    );
    const ofOrders = await shown('orders', lines.length, 'lines', (count) =>
      lostToOrders(parts, lines, this.#deadlineMs, count),
    );
    const ofSiblings = await lostToSiblings(parts, chosen, this.#deadlineMs);
    const findings: Finding[] = [];
    for (const standing of chosen) {
      const { shard } = standing;
      const past = pastOf === undefined ? await this.#compare(standing) : (pastOf.get(shard) ?? null);
      // Layouts go with the rows that were copied.
      const told = (ofSiblings.get(shard) ?? []).filter(({ kind }) => kind !== 'layout' || !isAlike(past));
      // A line whose home is not certain is told of once.
      const ofBooks = ofOrders.filter((one) => {
        const home =
          one.sku_id === null || one.order_detail_id === null
            ? { shard: this.#routing.map.shardOf(one.order_id ?? '') }
            : homeIn(parts, { sku_id: one.sku_id, order_detail_id: one.order_detail_id });
        return home?.shard === shard || (shard === chosen[0]?.shard && !(home !== null && restored.has(home.shard)));
      });
      const lost = onceEach([...(past?.lost ?? []), ...told, ...ofBooks]).map((one) => atHome(parts, shard, one));
      findings.push({ standing, past, lost });
    }
    return findings;
  }

  async tell(
    { standing, lost, past }: Finding,
    when: 'missing' | 'still missing',
    list: string | undefined,
  ): Promise<void> {
    const name = this.#nameOf(standing.shard);
    console.log(`${name}: ${inWords(standing, this.#sinceMs)}`);
    if (past !== null && past.reached < standing.had)
      console.log(`${name}: the state before that was read goes no further than ${momentOf(past.reached)}`);
    if (past !== null && past.ahead.size > 0)
      console.log(
        `${name} has something that the state before has not, of ${past.ahead.size} SKUs; they are not copied: ${inQuotes(past.ahead)}`,
      );
    await tellLost(name, when, lost, list);
  }

  /** First the rows of the state before, on all shards; then what that has not, as far as anybody told of it. */
  async putBack(findings: readonly Finding[], lines: readonly OrderedLine[]): Promise<void> {
    const copied = new Map<ShardIndex, Finding['past']>();
    for (const { standing, past } of findings) {
      if (past === null) continue;
      await this.#copy(standing, past);
      copied.set(standing.shard, { ...past, lost: [], differing: 0 });
    }
    const left =
      this.#past === null
        ? findings
        : await this.find(
            findings.map(({ standing }) => standing),
            lines,
            copied,
          );
    const all = left.map(({ standing, lost }) => ({ shard: standing.shard, lost }));
    const count = all.reduce((sum, { lost }) => sum + lost.length, 0);
    const done = await shown('bringing back', count, 'things', (add) =>
      putBack(this.#putBackParts, all, this.#deadlineMs, () => add(1)),
    );
    for (const line of notBack(done)) console.log(line);
  }

  async settle({ standing, lost, past }: Finding, { putBack, accept }: RestoredOptions): Promise<void> {
    const name = this.#nameOf(standing.shard);
    if (!isRefused(standing)) {
      if (lost.length > 0) fail(`${name} is sold from, though ${lost.length} things are missing; --close it`);
      else console.log(`${name} is sold from, and nothing is missing that anybody told of`);
      return;
    }
    if (standing.mark === HALF_COPIED && !putBack) {
      fail(`${name} is not sold from: ${AGAIN}`);
      return;
    }
    if (!accept && !(putBack && lost.length === 0 && isWhole({ standing, past }))) {
      const missing =
        lost.length > 0
          ? `${lost.length} things are missing`
          : wasSeen(standing)
            ? 'what was read may not be all: the state before (--against) ends too early, differs or was not read, and the books of the shop have sales only'
            : 'nobody knows how far it had come, so nobody can say whether that was all';
      fail(`${name} is not sold from: ${missing}; --put-back brings back what can be, --accept takes it as it is`);
      return;
    }
    this.#lock?.assert();
    await this.#pauseTorn(lost);
    await this.#store.accept(standing.shard, standing.had, this.#deadlineMs);
    console.log(
      `${name} is sold from again${lost.length > 0 ? `, without ${lost.length} things that are missing` : ''}`,
    );
  }

  async #compare(standing: Standing): Promise<Finding['past']> {
    const { shard } = standing;
    const past = this.#past;
    if (past === null) return null;
    if (sinceMsOf(standing, this.#sinceMs) === 0)
      throw new Error(
        `since when something is missing on ${this.#nameOf(shard)} is not known, so a state that is older than its backup could not be told from the one before: say with --since when the backup was made`,
      );
    const reached = await past.reached(shard, this.#deadlineMs);
    const least = leastReached(standing, this.#sinceMs);
    if (reached < least || reached === NOTHING)
      throw new Error(
        `what is said to be the state before of ${this.#nameOf(shard)} ends at ${momentOf(reached)}, and it must reach ${momentOf(least)}`,
      );
    const rows = await past.countRows(shard, this.#deadlineMs);
    const found = await shown(`comparing ${this.#nameOf(shard)}`, rows, 'rows', (add) =>
      lostToPast({ past, present: this.#store }, shard, this.#deadlineMs, () => add(1)),
    );
    return { ...found, reached };
  }

  async #copy({ shard }: Standing, { ahead, reached }: NonNullable<Finding['past']>): Promise<void> {
    const past = this.#past;
    if (past === null) return;
    this.#lock?.assert();
    await this.#store.setMark(shard, HALF_COPIED, reached, this.#deadlineMs);
    const rows = await past.countRows(shard, this.#deadlineMs);
    await shown(`copying ${this.#nameOf(shard)}`, rows, 'rows', (add) =>
      copyPast({ past, present: this.#store }, shard, ahead, this.#deadlineMs, () => add(1)),
    );
    await this.#store.setMark(shard, CLOSED, reached, this.#deadlineMs);
  }

  /** A SKU that lies otherwise in its rows than its layout says would be sold twice. */
  async #pauseTorn(left: readonly Lost[]): Promise<void> {
    const torn = new Set(
      left.flatMap(({ kind, sku_id }) =>
        (kind === 'layout' || kind === 'transfer' || kind === 'pointer') && sku_id !== null ? [sku_id] : [],
      ),
    );
    if (torn.size === 0) return;
    for (let shard = 0; shard < this.#shards.length; shard += 1)
      for (const some of piecesOf([...torn], 400)) await this.#store.pause(shard, some, this.#deadlineMs);
    console.log(`paused, because units of theirs are there twice or not at all: ${inQuotes(torn)}`);
  }

  /** Once for each row: what it says is looked for several times. */
  #tellUnreadable(shard: ShardIndex, row: string): void {
    const message = `${this.#nameOf(shard)}: a row cannot be read, so what is missing of it may go unnoticed: ${row}`;
    if (!this.#told.has(message)) fail(message);
    this.#told.add(message);
  }

  #nameOf(shard: ShardIndex): string {
    return this.#shards[shard]?.name ?? String(shard);
  }
}
