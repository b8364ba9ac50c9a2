import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { momentOf } from '../../src/core/generations.ts';
import type { Lost, OrderedLine } from '../../src/core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../src/core/nouns.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardAuditor } from '../../src/mysql/auditor.ts';
import { BatchingEngine } from '../../src/mysql/batching/batchingEngine.ts';
import { openBookShards } from '../../src/mysql/bookShards.ts';
import type { BookShards } from '../../src/mysql/bookShards.ts';
import { PastShards } from '../../src/mysql/pastShards.ts';
import { RestoredShardStore } from '../../src/mysql/restoredShards.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { piecesOf } from '../../src/service/cartBatches.ts';
import { lostToOrders } from '../../src/service/restored/lostToOrders.ts';
import { lostToPast } from '../../src/service/restored/lostToPast.ts';
import { inWords, lostToSiblings, onceEach } from '../../src/service/restored/lostToSiblings.ts';
import { putBack } from '../../src/service/restored/putBack.ts';
import { readStandings } from '../../src/service/restored/whoWentBack.ts';
import type { Standing } from '../../src/service/restored/whoWentBack.ts';
import { Routing } from '../../src/service/routing.ts';
import { loadShards } from '../../src/shardsFile.ts';
import type { ShardConfig } from '../../src/shardsFile.ts';
import { progressBar } from '../support/progress.ts';
import { fail, printTable } from '../support/report.ts';
import { readOrdersFile } from './ordersFile.ts';

export interface RestoredOptions {
  /** The file that lists the shards. */
  readonly shards: string;
  readonly timeout: number;
  /** Names; absent: those that went back. */
  readonly shard?: readonly string[];
  readonly orders?: string;
  /** A file that lists the shards as they can still be read in their state before. */
  readonly against?: string;
  readonly putBack: boolean;
  readonly accept: boolean;
  readonly list?: string;
}

/** A shard and what is missing on it. */
interface Finding {
  readonly standing: Standing;
  readonly lost: readonly Lost[];
  /** How far the state before that was read had come; null: none was. */
  readonly reached: number | null;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/** Says what is missing on shards that were restored, brings it back where that is wanted, and lets them be sold from again. */
export async function reconcileRestored(options: RestoredOptions): Promise<void> {
  const deadlineMs = performance.now() + options.timeout * 1_000;
  const { initialShards, shards } = await loadShards(options.shards, process.env);
  const statementMs = options.timeout * 1_000;
  const lines = options.orders === undefined ? [] : await readOrdersFile(options.orders);
  const past = options.against === undefined ? null : new PastShards((await loadShards(options.against, process.env)).shards.map(({ address }) => address), statementMs);
  const books = openBookShards({ shards, initialShards, statementMs, relaxedAllowed: true });
  try {
    await Promise.all(books.shards.map((shard) => shard.tried));
    const work = new RestoredWork(books, past, shards, initialShards, deadlineMs);
    const chosen = await work.choose(options.shard ?? []);
    if (chosen.length === 0) {
      console.log('no shard shows less than the others remember of it; if gateways refuse one all the same, or it was restored before they looked, name it with --shard');
      return;
    }
    for (const finding of await work.find(chosen, lines)) await work.settle(finding, options);
  } finally {
    books.close();
    past?.close();
  }
}

class RestoredWork {
  readonly #books: BookShards;
  readonly #past: PastShards | null;
  readonly #shards: readonly ShardConfig[];
  readonly #deadlineMs: DeadlineMs;
  readonly #store: RestoredShardStore;
  readonly #auditor: ShardAuditor;
  readonly #routing: Routing;

  constructor(books: BookShards, past: PastShards | null, shards: readonly ShardConfig[], initialShards: number, deadlineMs: DeadlineMs) {
    this.#books = books;
    this.#past = past;
    this.#shards = shards;
    this.#deadlineMs = deadlineMs;
    this.#store = new RestoredShardStore(books.shards);
    this.#auditor = new ShardAuditor(books.shards);
    this.#routing = new Routing(new SlotMap(initialShards), new ShardReader(books.shards), shards.length);
  }

  /** The shards that are named, or those that went back. */
  async choose(names: readonly string[]): Promise<Standing[]> {
    const unknown = names.find((name) => !this.#shards.some((shard) => shard.name === name));
    if (unknown !== undefined) throw new Error(`no shard is called ${unknown}`);
    const standings = await readStandings(this.#store, this.#shards.length, this.#deadlineMs);
    return names.length > 0 ? standings.filter(({ shard }) => names.includes(this.#nameOf(shard))) : standings.filter(({ shows, had }) => shows < had);
  }

  async find(chosen: readonly Standing[], lines: readonly OrderedLine[]): Promise<Finding[]> {
    await this.#routing.refresh();
    const restored = new Set(chosen.map(({ shard }) => shard));
    const parts = { routing: this.#routing, auditor: this.#auditor, shards: this.#store, shardCount: this.#shards.length, restored, nameOf: (shard: ShardIndex) => this.#nameOf(shard) };
    const ofOrders = await shown('orders', lines.length, 'lines', (count) => lostToOrders(parts, lines, this.#deadlineMs, count));
    const ofSiblings = await lostToSiblings(parts, chosen, this.#deadlineMs);
    const findings: Finding[] = [];
    for (const standing of chosen) {
      const { shard, had } = standing;
      const past = this.#past;
      const reached = past === null ? null : await past.reached(shard, this.#deadlineMs);
      const ofPast = past === null ? [] : await lostToPast({ past, present: this.#store }, shard, this.#deadlineMs);
      // A line of a split SKU may have lain on any; it is told of once.
      const ofBooks = ofOrders.filter(({ sku_id, order_id }) => {
        const owner = this.#routing.map.shardOf(sku_id ?? order_id ?? '');
        return owner === shard || (shard === chosen[0]?.shard && !restored.has(owner));
      });
      findings.push({ standing, reached, isWhole: reached !== null && standing.shows < had && reached >= had, lost: onceEach([...ofPast, ...(ofSiblings.get(shard) ?? []), ...ofBooks]) });
    }
    return findings;
  }

  async settle({ standing, lost, reached, isWhole }: Finding, options: RestoredOptions): Promise<void> {
    const name = this.#nameOf(standing.shard);
    console.log(`${name}: ${inWords(standing)}`);
    if (reached !== null && !isWhole) console.log(`${name}: the state before that was read goes no further than ${momentOf(reached)}`);
    await tell(name, lost, options.list);
    const left = options.putBack ? await this.#putBack(standing.shard, lost) : lost;
    if (!options.accept && !(options.putBack && left.length === 0 && isWhole)) {
      const why = left.length > 0 ? `${left.length} of ${lost.length} things are missing` : 'what was read may not be all: the state before (--against) ends too early or was not read, and the books of the shop have sales only';
      fail(`${name} is not sold from: ${why}; --put-back brings back what can be, --accept takes it as it is`);
      return;
    }
    await this.#pauseTorn(left);
    await this.#store.accept(standing.shard, standing.had, this.#deadlineMs);
    console.log(`${name} is sold from again${left.length > 0 ? `, without ${left.length} things that are missing` : ''}`);
  }

  /** A SKU that lies otherwise in its rows than its layout says would be sold twice. */
  async #pauseTorn(left: readonly Lost[]): Promise<void> {
    const torn = [...new Set(left.flatMap(({ kind, sku_id }) => ((kind === 'layout' || kind === 'transfer') && sku_id !== null ? [sku_id] : [])))];
    if (torn.length === 0) return;
    for (let shard = 0; shard < this.#shards.length; shard += 1) for (const some of piecesOf(torn, 400)) await this.#store.pause(shard, some, this.#deadlineMs);
    console.log(`paused, because units of theirs are there twice or not at all: ${torn.map((sku_id) => JSON.stringify(sku_id)).join(', ')}`);
  }

  /** @returns what is still missing */
  async #putBack(shard: ShardIndex, lost: readonly Lost[]): Promise<readonly Lost[]> {
    const engine = new BatchingEngine(this.#books.shards);
    const done = await shown('bringing back', lost.length, 'things', (count) => putBack({ engine, shards: this.#store }, shard, lost, this.#deadlineMs, () => count(1)));
    const left = done.filter(({ fault }) => fault !== null);
    console.log(`brought back: ${done.length - left.length} of ${done.length}`);
    for (const one of left) console.log(`not brought back (${one.fault}): ${lineOf(one.lost)}`);
    return left.map((one) => one.lost);
  }

  #nameOf(shard: ShardIndex): string {
    return this.#shards[shard]?.name ?? String(shard);
  }
}

/** Prints what is missing, or writes it to a file, a JSON object on each line. */
async function tell(shard: string, lost: readonly Lost[], file: string | undefined): Promise<void> {
  const kinds = [...new Set(lost.map(({ kind }) => kind))];
  printTable(
    ['missing', 'count', 'units'],
    kinds.map((kind) => {
      const ofKind = lost.filter((one) => one.kind === kind);
      return [kind, ofKind.length, ofKind.reduce((sum, { quantity }) => sum + (quantity ?? 0), 0)];
    }),
  );
  if (file === undefined) {
    for (const one of lost) console.log(lineOf(one));
    return;
  }
  const stream = createWriteStream(file, { flags: 'a' });
  for (const one of lost) if (!stream.write(`${JSON.stringify({ shard, ...one, redo: undefined })}\n`)) await once(stream, 'drain');
  stream.end();
  await once(stream, 'finish');
  console.log(`${lost.length} lines written to ${file}`);
}

function lineOf({ kind, toldBy, sku_id, order_id, order_detail_id, id, quantity }: Lost): string {
  const cells = Object.entries({ sku_id, order_id, order_detail_id, id, quantity }).flatMap(([name, value]) => (value === null ? [] : [`${name} ${JSON.stringify(value)}`]));
  return `${kind}: ${cells.join(', ')} (${toldBy})`;
}

async function shown<T>(what: string, count: number, unit: string, work: (onDone: (count: number) => void) => Promise<T>): Promise<T> {
  const progress = progressBar(what, count, unit);
  try {
    return await work((done) => progress.add(done));
  } finally {
    progress.stop();
  }
}
