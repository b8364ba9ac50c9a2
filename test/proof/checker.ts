import { SlotMap } from '../../src/core/slots.ts';
import { boundsOf } from './bounds.ts';
import { effectsOf, groupBy, isWrite, mayStand, openingKey, overAtMs, standingEffects } from './effects.ts';
import type { Effect, StandingEffect } from './effects.ts';
import { isConflict } from './history.ts';
import type { DeductionSent, Entry, FinalState, Write } from './history.ts';

/** A broken promise: the invariant of the design that it breaks, and the story in one sentence. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

const SHARDS = 16;

/** What was sent and what stands, by idempotency key. */
interface Books {
  readonly history: readonly Entry[];
  readonly writes: readonly Write[];
  readonly sent: ReadonlyMap<string, readonly Write[]>;
  readonly standing: ReadonlyMap<string, StandingEffect>;
  readonly final: FinalState;
}

const RULES: readonly ((books: Books) => Violation[])[] = [
  rowsBalance,
  effectsOnce,
  doneStands,
  standingWasSent,
  doneIsRepeated,
  refusalsAreTrue,
  ordersAreWhole,
  lookupsAreTrue,
  numbersWerePossible,
];

/**
 * Holds what clients were told against what stands in the databases. Every rule is one function below; planted bugs
 * (`test/planted/`) show that each can fail.
 */
export function check(history: readonly Entry[], final: FinalState): Violation[] {
  const writes = history.filter(isWrite);
  const sent = groupBy(writes, (write) => effectsOf(write).map(({ key }) => key));
  const standing = new Map(standingEffects(final).map((effect) => [effect.key, effect]));
  return RULES.flatMap((rule) => rule({ history, writes, sent, standing, final }));
}

function violation(invariant: string, what: string): Violation {
  return { invariant, what };
}

/** I1: opening + adjusted - deducted = left, and nothing is below zero. */
function rowsBalance({ final }: Books): Violation[] {
  const left = new Map(final.stock.map(({ sku_id, leaved_amount }) => [sku_id, leaved_amount]));
  return [...groupBy(standingEffects(final), ({ sku_id }) => [sku_id])].flatMap(([sku_id, effects]) => {
    const units = effects.reduce((sum, { change }) => sum + change, 0);
    const standing = left.get(sku_id);
    return standing === units && units >= 0 ? [] : [violation('I1', `${sku_id}: ${standing} left, its journal says ${units}`)];
  });
}

/** I2: one effect per key over all shards, on the shard that owns it. */
function effectsOnce({ final }: Books): Violation[] {
  const map = new SlotMap(SHARDS);
  const seen = new Set<string>();
  return standingEffects(final).flatMap(({ key, sku_id, shard, name }) => {
    const found: Violation[] = [];
    if (seen.has(key)) found.push(violation('I2', `${name}: stands twice`));
    if (map.shardOf(sku_id) !== shard) found.push(violation('I2', `${name}: on shard ${shard}, which does not own it`));
    seen.add(key);
    return found;
  });
}

/** I3: what was answered "done" stands, as it was sent. */
function doneStands({ writes, standing }: Books): Violation[] {
  return writes
    .filter(({ verdict }) => verdict === 'done')
    .flatMap(effectsOf)
    .filter(({ key, content }) => standing.get(key)?.content !== content)
    .map(({ name }) => violation('I3', `${name}: answered done, and is lost`));
}

/** I4: what stands was sent, with this content, in an attempt that was answered "done" or not answered. */
function standingWasSent({ sent, standing }: Books): Violation[] {
  return [...standing.values()]
    .filter(({ key, content }) => !(sent.get(key) ?? []).some((write) => mayStand(write) && says(write, key, content)))
    .map(({ name }) => violation('I4', `${name}: stands, though every sending was refused`));
}

/** I5: once ids were answered "done", whoever sends them again later is told so too; with another content, that they conflict. */
function doneIsRepeated({ writes, sent }: Books): Violation[] {
  const wasDone = ({ key, content }: Effect, beforeMs: number): boolean =>
    doneBefore(sent.get(key) ?? [], beforeMs).some((write) => says(write, key, content));
  const conflicts = ({ key, content }: Effect, beforeMs: number): boolean =>
    doneBefore(sent.get(key) ?? [], beforeMs).some((write) => !says(write, key, content));
  return writes.flatMap((write) => {
    if (write.verdict === 'undone' || write.verdict === 'unknown') return [];
    const effects = effectsOf(write);
    const story = `${effects[0]?.name}: done before, then answered ${write.code ?? 'as new'}`;
    if (effects.some((effect) => conflicts(effect, write.invokedMs))) return isConflict(write) ? [] : [violation('I5', `${story}, which is not what was done`)];
    if (!effects.every((effect) => wasDone(effect, write.invokedMs))) return [];
    return write.verdict === 'done' && write.replayed === true ? [] : [violation('I5', story)];
  });
}

/** Every refusal has a reason that can have been so; what is refused as missing was not there, nor on its way. */
function refusalsAreTrue(books: Books): Violation[] {
  const { history, sent } = books;
  return history.flatMap((entry) => {
    if (entry.verdict === 'breach') return [violation('contract', `a ${entry.kind} was answered ${entry.code}`)];
    if (entry.verdict !== 'refused') return [];
    const isTrue = ((): boolean => {
      switch (entry.code) {
        case 'insufficient_stock':
          return entry.kind === 'deduction' || (entry.kind === 'adjustment' && entry.delta < 0);
        case 'unknown_sku':
          return skusOf(entry).some((sku_id) => doneBefore(sent.get(openingKey(sku_id)) ?? [], entry.invokedMs).length === 0);
        case 'idempotency_conflict':
        case 'sku_exists':
          return isWrite(entry) && effectsOf(entry).some(({ key, content }) => mayHaveStood(sent.get(key) ?? [], entry.endedMs).some((write) => !says(write, key, content)));
        case null:
        default:
          return false;
      }
    })();
    const story = `a ${entry.kind} of ${skusOf(entry).join(', ')} was answered ${entry.code}`;
    if (!isTrue) return [violation('contract', story)];
    if (isConflict(entry)) return [];
    const denied = [
      ...(isWrite(entry) ? effectsOf(entry).map(({ key }) => key) : []),
      ...(entry.code === 'unknown_sku' && skusOf(entry).length === 1 ? skusOf(entry).map(openingKey) : []),
    ];
    return denied.some((key) => isDenied(key, entry, books)) ? [violation('I4', `${story}, though an earlier attempt stood`)] : [];
  });
}

/** I7: of an order's lines all stand or none. */
function ordersAreWhole({ writes, standing }: Books): Violation[] {
  const deductions = writes.filter((write): write is DeductionSent => write.kind === 'deduction');
  return deductions.flatMap((deduction) => {
    const effects = effectsOf(deduction);
    const stand = effects.filter(({ key }) => standing.has(key)).length;
    return stand === 0 || stand === effects.length ? [] : [violation('I7', `${deduction.order_id}: ${stand} of ${effects.length} lines stand`)];
  });
}

/** A look-up never denies what was done before it was asked or what can come no more, nor finds what never was. */
function lookupsAreTrue(books: Books): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.kind !== 'lookup' || entry.stands === null) return [];
    const { sku_id, order_detail_id } = entry.line;
    const [effect] = effectsOf({ ...entry, kind: 'deduction', order_id: '', lines: [entry.line], replayed: null, left: new Map() });
    if (effect === undefined) return [];
    const { key } = effect;
    const name = `${order_detail_id} of ${sku_id}`;
    if (entry.stands) return books.standing.has(key) ? [] : [violation('I4', `${name}: found, and later gone`)];
    if (doneBefore(books.sent.get(key) ?? [], entry.invokedMs).length > 0) return [violation('I5', `${name}: done, and then not found`)];
    return isDenied(key, entry, books) ? [violation('I4', `${name}: not found after every attempt was over, and it stands`)] : [];
  });
}

/** I8: whoever was told that too little is left, or what is left, was told something that was so while he asked. */
function numbersWerePossible({ history, final }: Books): Violation[] {
  const bounds = boundsOf(history, final);
  return history.flatMap((entry) => {
    if (entry.kind === 'read' && entry.leaved_amount !== null) {
      const { least, most } = bounds(entry.sku_id, entry.invokedMs, entry.endedMs);
      const fits = least <= entry.leaved_amount && entry.leaved_amount <= most;
      return fits ? [] : [violation('I8', `${entry.sku_id}: read ${entry.leaved_amount}, possible were ${least} to ${most}`)];
    }
    if (entry.code !== 'insufficient_stock') return [];
    if (entry.kind === 'adjustment') {
      const { least } = bounds(entry.sku_id, entry.invokedMs, entry.endedMs);
      return least < -entry.delta ? [] : [violation('I8', `${entry.adjustment_id}: refused to write off ${-entry.delta}, and ${least} were left`)];
    }
    if (entry.kind !== 'deduction') return [];
    return [...entry.left].flatMap(([sku_id, told]) => {
      const asked = entry.lines.filter((line) => line.sku_id === sku_id).reduce((sum, { quantity }) => sum + quantity, 0);
      const { least, most } = bounds(sku_id, entry.invokedMs, entry.endedMs);
      const fits = least < asked && told < asked && least <= told && told <= most;
      return fits ? [] : [violation('I8', `${entry.order_id}: refused ${asked} of ${sku_id} and told ${told}, of which ${least} to ${most} were left`)];
    });
  });
}

/** Whether an answer denies what stands, though no sending that can have brought it about was still under way, or came later. */
function isDenied(key: string, { invokedMs }: Entry, { sent, standing }: Books): boolean {
  return standing.has(key) && (sent.get(key) ?? []).filter(mayStand).every((write) => overAtMs(write) < invokedMs);
}

function doneBefore(writes: readonly Write[], ms: number): Write[] {
  return writes.filter(({ verdict, endedMs }) => verdict === 'done' && endedMs < ms);
}

function mayHaveStood(writes: readonly Write[], ms: number): Write[] {
  return writes.filter((write) => mayStand(write) && write.invokedMs < ms);
}

function says(write: Write, key: string, content: string): boolean {
  return effectsOf(write).some((effect) => effect.key === key && effect.content === content);
}

function skusOf(entry: Entry): string[] {
  if (entry.kind === 'deduction') return entry.lines.map(({ sku_id }) => sku_id);
  return [entry.kind === 'lookup' ? entry.line.sku_id : entry.sku_id];
}
