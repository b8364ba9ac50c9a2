import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import { quoted } from '../../core/text/visible.ts';
import type { PutBack } from '../../service/restore/putBack.ts';
import { progressBar } from '../support/progress.ts';
import { printTable } from '../support/report.ts';

/**
 * Prints the missing records, or writes them to a file, a JSON object on each line.
 *
 * @param when before or after records were put back
 */
export async function reportMissing(
  shard: string,
  when: 'missing' | 'still missing',
  lost: readonly MissingRecord[],
  file: string | undefined,
): Promise<void> {
  const kinds = [...new Set(lost.map(({ kind }) => kind))];
  printTable(
    [when, 'count', 'units'],
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
  for (const one of lost)
    if (!stream.write(`${JSON.stringify({ shard, is: when, ...one, redo: undefined })}\n`)) await once(stream, 'drain');
  stream.end();
  await once(stream, 'finish');
  console.log(`${lost.length} lines written to ${file}`);
}

/** A missing record in one line. */
export function lineOf({ kind, toldBy, sku_id, order_id, order_detail_id, id, quantity }: MissingRecord): string {
  const cells = Object.entries({ sku_id, order_id, order_detail_id, id, quantity }).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${typeof value === 'string' ? quoted(value) : value}`],
  );
  return `${kind}: ${cells.join(', ')} (${toldBy})`;
}

/** One line for each record that was not put back, or whose attempt got no answer: such a record may exist or not. */
export function notPutBack(tried: readonly PutBack[]): string[] {
  return tried.flatMap(({ missing, fault, isUnknown }) => {
    const outcome = isUnknown ? 'outcome unknown, run it again' : 'not put back';
    return fault === null ? [] : [`${outcome} (${fault}): ${lineOf(missing)}`];
  });
}

/** Quoted ids, separated by commas. */
export function quotedList(ids: Iterable<string>): string {
  return [...ids].map(quoted).join(', ');
}

/** Shows a progress bar while `work` runs. */
export async function withProgress<T>(
  what: string,
  count: number,
  unit: string,
  work: (onDone: (count: number) => void) => Promise<T>,
): Promise<T> {
  const progress = progressBar(what, count, unit);
  try {
    return await work((done) => progress.add(done));
  } finally {
    progress.stop();
  }
}
