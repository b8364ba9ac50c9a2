import type { Answer } from '../../scripts/support/httpClient.ts';
import { isConflict, NOT_SENT } from './history.ts';
import type { DeductionLine, Entry, Verdict, Write } from './history.ts';
import type { Goods } from './goods.ts';
import type { Random } from './random.ts';

/** What an operation has at hand. */
export interface Scene {
  readonly prefix: string;
  readonly random: Random;
  readonly goods: Goods;
  readonly history: Entry[];
  /** Sends to one of the gateways, whichever. @throws when no answer came */
  send(listener: 'public' | 'admin', method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<Answer>;
  /** A number never given before in this round. */
  next(): number;
}

/** Something the product can do, as traffic. A new capability joins the bench by one more entry in `OPERATIONS`. */
export interface TrafficOperation {
  readonly name: string;
  /** How often, against the others. */
  readonly weight: number;
  /** @returns what was sent last and how it ended; null if there was nothing to do */
  run(scene: Scene): Promise<Entry | null>;
}

/** Replays look back this far. */
const RECENT = 200;

export const OPERATIONS: readonly TrafficOperation[] = [
  {
    name: 'deduct',
    weight: 58,
    run: (scene) => {
      const number = scene.next();
      const sku_id = (scene.random.chance(0.05) ? recent(scene, 'opening')?.sku_id : null) ?? scene.random.pick(scene.goods.byDemand);
      return sendOrder(scene, `${scene.prefix}-o${number}`, [{ sku_id, order_detail_id: `${scene.prefix}-d${number}`, quantity: scene.random.whole(1, 3) }]);
    },
  },
  {
    name: 'deduct several',
    weight: 10,
    run: (scene) => {
      const number = scene.next();
      const lines = scene.random.pick(scene.goods.together).map((sku_id, index) => ({
        sku_id,
        order_detail_id: `${scene.prefix}-d${number}-${index}`,
        quantity: scene.random.whole(1, 3),
      }));
      return sendOrder(scene, `${scene.prefix}-o${number}`, scene.random.chance(0.5) ? lines : lines.reverse());
    },
  },
  { name: 'deduct again', weight: 10, run: (scene) => resend(scene, recent(scene, 'deduction')) },
  {
    name: 'adjust',
    weight: 6,
    run: (scene) => {
      const number = scene.next();
      const delta = scene.random.chance(0.7) ? scene.random.whole(1, 10) : -scene.random.whole(1, 5);
      return sendAdjustment(scene, scene.random.pick(scene.goods.byDemand), `${scene.prefix}-a${number}`, delta);
    },
  },
  { name: 'adjust again', weight: 2, run: (scene) => resend(scene, recent(scene, 'adjustment')) },
  { name: 'open', weight: 2, run: (scene) => sendOpening(scene, `${scene.prefix}-new-${scene.next()}`, scene.random.whole(1, 20)) },
  {
    name: 'open again',
    weight: 2,
    run: (scene) => {
      const [sku_id, amount] = scene.random.pick([...scene.goods.opening]);
      const earlier = scene.random.chance(0.5) ? recent(scene, 'opening') : null;
      return earlier === null ? sendOpening(scene, sku_id, amount) : resend(scene, earlier);
    },
  },
  { name: 'conflict', weight: 2, run: sendConflict },
  { name: 'read', weight: 4, run: (scene) => readStock(scene, scene.random.pick(scene.goods.byDemand)) },
  {
    name: 'look up',
    weight: 4,
    run: async (scene) => {
      const line = recent(scene, 'deduction')?.lines[0];
      return line === undefined ? null : lookUp(scene, line);
    },
  },
];

/** Sends an order and writes down what the client was told. */
export async function sendOrder(scene: Scene, order_id: string, lines: readonly DeductionLine[]): Promise<Entry> {
  const { answer, ...times } = await timed(() => scene.send('public', 'POST', '/v1/deductions', { order_id, lines }));
  const refused = (bodyOf(answer)?.lines ?? []) as { sku_id: string; code?: string; leaved_amount?: number }[];
  const left = new Map(refused.flatMap(({ sku_id, code, leaved_amount }) => (code === 'insufficient_stock' ? [[sku_id, leaved_amount ?? 0] as const] : [])));
  return note(scene, { kind: 'deduction', order_id, lines, ...times, ...verdictOf(answer), replayed: replayedOf(answer), left });
}

/** Sends a restock or a write-off. */
async function sendAdjustment(scene: Scene, sku_id: string, adjustment_id: string, delta: number): Promise<Entry> {
  const path = `/v1/skus/${encodeURIComponent(sku_id)}/adjustments`;
  const { answer, ...times } = await timed(() => scene.send('admin', 'POST', path, { adjustment_id, delta }));
  return note(scene, { kind: 'adjustment', sku_id, adjustment_id, delta, ...times, ...verdictOf(answer), replayed: replayedOf(answer) });
}

/** Puts a SKU on the shelf. */
export async function sendOpening(scene: Scene, sku_id: string, leaved_amount: number): Promise<Entry> {
  const { answer, ...times } = await timed(() => scene.send('admin', 'PUT', `/v1/skus/${encodeURIComponent(sku_id)}`, { leaved_amount }));
  return note(scene, { kind: 'opening', sku_id, leaved_amount, ...times, ...verdictOf(answer), replayed: replayedOf(answer) });
}

/** Sends the same ids with the same content again, to whichever gateway. */
export async function resend(scene: Scene, write: Write | null): Promise<Entry | null> {
  switch (write?.kind) {
    case undefined:
      return null;
    case 'deduction':
      return sendOrder(scene, write.order_id, write.lines);
    case 'adjustment':
      return sendAdjustment(scene, write.sku_id, write.adjustment_id, write.delta);
    case 'opening':
      return sendOpening(scene, write.sku_id, write.leaved_amount);
  }
}

/** Sends ids that stand, with a content that is not theirs. */
async function sendConflict(scene: Scene): Promise<Entry | null> {
  const write = recent(scene, scene.random.pick(['deduction', 'adjustment', 'opening'] as const));
  if (write?.verdict !== 'done') return null;
  switch (write.kind) {
    case 'deduction':
      return scene.random.chance(0.5)
        ? sendOrder(scene, `${write.order_id}-other`, write.lines)
        : sendOrder(scene, write.order_id, write.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })));
    case 'adjustment':
      return sendAdjustment(scene, write.sku_id, write.adjustment_id, write.delta + 11);
    case 'opening':
      return sendOpening(scene, write.sku_id, write.leaved_amount + 1);
  }
}

async function readStock(scene: Scene, sku_id: string): Promise<Entry> {
  const { answer, ...times } = await timed(() => scene.send('public', 'GET', `/v1/skus/${encodeURIComponent(sku_id)}`));
  const leaved_amount = verdictOf(answer).verdict === 'done' ? Number(bodyOf(answer).leaved_amount) : null;
  return note(scene, { kind: 'read', sku_id, leaved_amount, ...times, ...verdictOf(answer) });
}

/** Asks what became of a line. */
export async function lookUp(scene: Scene, line: DeductionLine): Promise<Entry> {
  const { sku_id, order_detail_id } = line;
  const { answer, ...times } = await timed(() => scene.send('public', 'POST', '/v1/deductions/lookup', { lines: [{ sku_id, order_detail_id }] }));
  const stands = verdictOf(answer).verdict === 'done' ? bodyOf(answer).lines[0].status !== 'none' : null;
  return note(scene, { kind: 'lookup', line, stands, ...times, ...verdictOf(answer) });
}

function note(scene: Scene, entry: Entry): Entry {
  scene.history.push(entry);
  return entry;
}

/** Any of the latest writes of a kind, but for those that were never meant to stand. */
function recent<K extends Write['kind']>(scene: Scene, kind: K): Extract<Write, { kind: K }> | null {
  const isOf = (entry: Entry): entry is Extract<Write, { kind: K }> => entry.kind === kind && !isConflict(entry);
  const latest = scene.history.slice(-RECENT).filter(isOf);
  return latest.length === 0 ? null : scene.random.pick(latest);
}

async function timed(send: () => Promise<Answer>): Promise<{ answer: Answer | null | typeof NOT_SENT; invokedMs: number; endedMs: number }> {
  const invokedMs = performance.now();
  const answer = await send().catch((error: unknown) => ((error as { code?: string }).code === 'ECONNREFUSED' ? NOT_SENT : null));
  return { answer, invokedMs, endedMs: performance.now() };
}

/** What an answer holds; undefined without one. */
function bodyOf(answer: Answer | null | typeof NOT_SENT): Answer['body'] {
  return answer === null || answer === NOT_SENT ? undefined : (answer.body as unknown);
}

/** Whether an answer calls itself a replay; null where none says so. */
function replayedOf(answer: Answer | null | typeof NOT_SENT): boolean | null {
  return (bodyOf(answer)?.replayed as boolean | undefined) ?? null;
}

function verdictOf(answer: Answer | null | typeof NOT_SENT): { verdict: Verdict; code: string | null } {
  if (answer === NOT_SENT) return { verdict: 'undone', code: NOT_SENT };
  if (answer === null) return { verdict: 'unknown', code: null };
  const code = (answer.body?.code as string | undefined) ?? null;
  if (answer.status === 200 || answer.status === 201) return { verdict: 'done', code };
  if (answer.status === 503 && code === 'overloaded') return { verdict: 'undone', code };
  if (answer.status === 503 && code === 'outcome_unknown') return { verdict: 'unknown', code };
  if (answer.status === 404 || answer.status === 409) return { verdict: 'refused', code };
  return { verdict: 'breach', code: `${answer.status} ${answer.text.slice(0, 200)}` };
}
