import type { Answer } from '../../scripts/support/httpClient.ts';
import type { DeductionLine, DeductionSent, Entry, Verdict } from './history.ts';
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
  run(scene: Scene): Promise<void>;
}

/** Replays look back this far. */
const RECENT = 200;

export const OPERATIONS: readonly TrafficOperation[] = [
  {
    name: 'deduct',
    weight: 60,
    run: async (scene) => {
      const number = scene.next();
      const sku_id = scene.random.pick(scene.goods.byDemand);
      await sendOrder(scene, `${scene.prefix}-o${number}`, [{ sku_id, order_detail_id: `${scene.prefix}-d${number}`, quantity: scene.random.whole(1, 3) }]);
    },
  },
  {
    name: 'deduct several',
    weight: 10,
    run: async (scene) => {
      const number = scene.next();
      const lines = scene.random.pick(scene.goods.together).map((sku_id, index) => ({
        sku_id,
        order_detail_id: `${scene.prefix}-d${number}-${index}`,
        quantity: scene.random.whole(1, 3),
      }));
      await sendOrder(scene, `${scene.prefix}-o${number}`, scene.random.chance(0.5) ? lines : lines.reverse());
    },
  },
  {
    name: 'replay',
    weight: 12,
    run: async (scene) => {
      const earlier = recentDeduction(scene);
      if (earlier !== null) await sendOrder(scene, earlier.order_id, earlier.lines);
    },
  },
  {
    name: 'adjust',
    weight: 6,
    run: async (scene) => {
      const number = scene.next();
      const delta = scene.random.chance(0.7) ? scene.random.whole(1, 10) : -scene.random.whole(1, 5);
      await sendAdjustment(scene, scene.random.pick(scene.goods.byDemand), `${scene.prefix}-a${number}`, delta);
    },
  },
  { name: 'read', weight: 6, run: (scene) => readStock(scene, scene.random.pick(scene.goods.byDemand)) },
  {
    name: 'look up',
    weight: 6,
    run: async (scene) => {
      const line = recentDeduction(scene)?.lines[0];
      if (line !== undefined) await lookUp(scene, line);
    },
  },
];

/** Sends an order and writes down what the client was told. */
export async function sendOrder(scene: Scene, order_id: string, lines: readonly DeductionLine[]): Promise<Verdict> {
  const { answer, ...times } = await timed(() => scene.send('public', 'POST', '/v1/deductions', { order_id, lines }));
  const body = bodyOf(answer);
  const refused = (body?.lines ?? []) as { sku_id: string; code?: string; leaved_amount?: number }[];
  const left = new Map(refused.flatMap(({ sku_id, code, leaved_amount }) => (code === 'insufficient_stock' ? [[sku_id, leaved_amount ?? 0] as const] : [])));
  const replayed = (body?.replayed as boolean | undefined) ?? null;
  scene.history.push({ kind: 'deduction', order_id, lines, ...times, ...verdictOf(answer), replayed, left });
  return verdictOf(answer).verdict;
}

/** Sends a restock or a write-off. */
export async function sendAdjustment(scene: Scene, sku_id: string, adjustment_id: string, delta: number): Promise<Verdict> {
  const path = `/v1/skus/${encodeURIComponent(sku_id)}/adjustments`;
  const { answer, ...times } = await timed(() => scene.send('admin', 'POST', path, { adjustment_id, delta }));
  scene.history.push({ kind: 'adjustment', sku_id, adjustment_id, delta, ...times, ...verdictOf(answer) });
  return verdictOf(answer).verdict;
}

async function readStock(scene: Scene, sku_id: string): Promise<void> {
  const { answer, ...times } = await timed(() => scene.send('public', 'GET', `/v1/skus/${encodeURIComponent(sku_id)}`));
  const leaved_amount = verdictOf(answer).verdict === 'done' ? Number(bodyOf(answer).leaved_amount) : null;
  scene.history.push({ kind: 'read', sku_id, leaved_amount, ...times, ...verdictOf(answer) });
}

/** Asks what became of a line. */
export async function lookUp(scene: Scene, line: DeductionLine): Promise<Verdict> {
  const { answer, ...times } = await timed(() => scene.send('public', 'POST', '/v1/deductions/lookup', { lines: [{ sku_id: line.sku_id, order_detail_id: line.order_detail_id }] }));
  const stands = verdictOf(answer).verdict === 'done' ? bodyOf(answer).lines[0].status !== 'none' : null;
  scene.history.push({ kind: 'lookup', line, stands, ...times, ...verdictOf(answer) });
  return verdictOf(answer).verdict;
}

function recentDeduction(scene: Scene): DeductionSent | null {
  const recent = scene.history.slice(-RECENT).filter((entry): entry is DeductionSent => entry.kind === 'deduction');
  return recent.length === 0 ? null : scene.random.pick(recent);
}

/** A request that found nobody to take it was never sent. */
const NOT_SENT = 'not sent';

async function timed(send: () => Promise<Answer>): Promise<{ answer: Answer | null | typeof NOT_SENT; invokedMs: number; endedMs: number }> {
  const invokedMs = performance.now();
  const answer = await send().catch((error: unknown) => ((error as { code?: string }).code === 'ECONNREFUSED' ? NOT_SENT : null));
  return { answer, invokedMs, endedMs: performance.now() };
}

/** What an answer holds; undefined without one. */
function bodyOf(answer: Answer | null | typeof NOT_SENT): Answer['body'] {
  return answer === null || answer === NOT_SENT ? undefined : (answer.body as unknown);
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
