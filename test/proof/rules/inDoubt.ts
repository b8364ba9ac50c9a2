import { cancelKey, effectsFound, effectsOf, flowKey, overAtMs } from './effects.ts';
import type { DeductionSent, Entry, LookUpSent, Write } from '../history.ts';

/** Evidence of how a write ended: the answer to the same write sent again, or look-ups of its lines. */
export type Evidence =
  | { readonly kind: 'again'; readonly answer: Entry }
  | { readonly kind: 'looked up'; readonly answers: readonly LookUpSent[] };

/**
 * Whether the evidence shows how a write ended. The first answer that reports its effect is enough. An answer without
 * its effect counts only if its request was sent after the write was over: until then the write may still take effect.
 */
export function isResolvedBy(write: Write, evidence: Evidence): boolean {
  const overMs = overAtMs(write);
  if (evidence.kind === 'again') {
    const { verdict, code, invokedMs } = evidence.answer;
    // The code `pending` names a cart in progress and says nothing about the request itself.
    return verdict === 'done' || (verdict === 'refused' && code !== 'pending' && invokedMs > overMs);
  }
  return (
    write.kind === 'deduction' &&
    write.lines.every((line) =>
      evidence.answers.some((answer) => isAbout(answer, line) && shows(answer, write, line, overMs)),
    )
  );
}

/** The evidence of a write in a history. */
export function evidenceOf(write: Write, history: readonly Entry[]): Evidence[] {
  const same = contentOf(write);
  const again = history.filter((entry) => entry !== write && entry.kind === write.kind && contentOf(entry) === same);
  const answers = history.filter((entry) => entry.kind === 'lookup');
  return [...again.map((answer): Evidence => ({ kind: 'again', answer })), { kind: 'looked up', answers }];
}

function shows(
  answer: LookUpSent,
  write: DeductionSent,
  line: DeductionSent['lines'][number],
  overMs: number,
): boolean {
  const [effect] = effectsOf({ ...write, lines: [line] });
  const found = effectsFound(answer);
  if (found.some(({ key, content }) => key === effect?.key && content === effect.content)) return true;
  return (
    (found.some(({ key }) => key === cancelKey(line)) || answer.found?.status === 'none') && answer.invokedMs > overMs
  );
}

function isAbout(answer: LookUpSent, line: DeductionSent['lines'][number]): boolean {
  return flowKey(answer) === flowKey(line);
}

/** The content of a write as one text. Attempts of the same write have the same text. */
function contentOf(write: Entry): string {
  if (write.kind === 'read' || write.kind === 'lookup') return '';
  if (write.kind === 'sale') return `${write.sku_id} ${write.state}`;
  if (write.kind === 'resize') return `${write.sku_id} ${write.sub_rows}`;
  return effectsOf(write)
    .map(({ key, content }) => `${key}\0${content}`)
    .join('\0\0');
}
