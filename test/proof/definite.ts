import { cancelKey, effectsFound, effectsOf, flowKey, overAtMs } from './effects.ts';
import type { DeductionSent, Entry, LookedUp, Write } from './history.ts';

/** What says of a write what became of it: an answer to the same, sent again, or look-ups of all its lines. */
export type Told =
  | { readonly kind: 'again'; readonly answer: Entry }
  | { readonly kind: 'looked up'; readonly answers: readonly LookedUp[] };

/**
 * Whether a client knows now what became of a write. That it stands is so from the first time it was told. That it does not
 * counts only when it was asked for after the write was over: until then it may still come.
 */
export function isDefinite(write: Write, told: Told): boolean {
  const overMs = overAtMs(write);
  if (told.kind === 'again') {
    const { verdict, code, invokedMs } = told.answer;
    // Who hears that a cart is in the way has learnt nothing of his own request.
    return verdict === 'done' || (verdict === 'refused' && code !== 'pending' && invokedMs > overMs);
  }
  return (
    write.kind === 'deduction' &&
    write.lines.every((line) =>
      told.answers.some((answer) => isAbout(answer, line) && tells(answer, write, line, overMs)),
    )
  );
}

/** What a history tells of a write. */
export function toldOf(write: Write, history: readonly Entry[]): Told[] {
  const same = contentOf(write);
  const again = history.filter((entry) => entry !== write && entry.kind === write.kind && contentOf(entry) === same);
  const answers = history.filter((entry) => entry.kind === 'lookup');
  return [...again.map((answer): Told => ({ kind: 'again', answer })), { kind: 'looked up', answers }];
}

function tells(answer: LookedUp, write: DeductionSent, line: DeductionSent['lines'][number], overMs: number): boolean {
  const [effect] = effectsOf({ ...write, lines: [line] });
  const found = effectsFound(answer);
  if (found.some(({ key, content }) => key === effect?.key && content === effect.content)) return true;
  return (
    (found.some(({ key }) => key === cancelKey(line)) || answer.found?.status === 'none') && answer.invokedMs > overMs
  );
}

function isAbout(answer: LookedUp, line: DeductionSent['lines'][number]): boolean {
  return flowKey(answer) === flowKey(line);
}

/** One text for what a write asks for. Sendings of the same have the same. */
function contentOf(write: Entry): string {
  if (write.kind === 'read' || write.kind === 'lookup') return '';
  if (write.kind === 'sale') return `${write.sku_id} ${write.state}`;
  if (write.kind === 'resize') return `${write.sku_id} ${write.sub_rows}`;
  return effectsOf(write)
    .map(({ key, content }) => `${key}\0${content}`)
    .join('\0\0');
}
