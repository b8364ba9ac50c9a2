import type { Books } from '../../src/core/books/books.ts';
import { printTable } from '../../src/commands/support/report.ts';
import { latencyCell, LATENCY_NOTE, ORDER_FIGURES, RETURN_LATENCY } from './orderFigures.ts';
import type { AnsweredOrder } from './orderFigures.ts';
import type { Result, Results } from './play.ts';
import type { ReplayEvent } from './plan.ts';
import type { Sender } from './sender.ts';

/** One pass: the file was sent once. */
export interface Pass {
  readonly name: string;
  readonly results: Results;
  readonly seconds: number;
  readonly sender: Sender;
}

/** Prints the results of all passes side by side. */
export function printPasses(passes: readonly Pass[]): void {
  const rows: readonly (readonly [string, (pass: Pass) => string | number])[] = [
    ['invoices', (pass) => new Set(eventsOf(pass, 'cart').map(([event]) => event.invoice)).size],
    ['lines', (pass) => linesOf(eventsOf(pass, 'cart'))],
    ['carts sold', (pass) => countOf(pass, 'cart', 'done')],
    ['lines sold', (pass) => linesOf(eventsOf(pass, 'cart').filter(([, { is }]) => is === 'done'))],
    ['carts refused, not enough left', (pass) => countOf(pass, 'cart', 'refused')],
    ['carts replayed', (pass) => countOf(pass, 'cart', 'replayed')],
    ['returns sent', (pass) => eventsOf(pass, 'return').length],
    ['returns taken back', (pass) => countOf(pass, 'return', 'done')],
    ['returns replayed', (pass) => countOf(pass, 'return', 'replayed')],
    ['returns of what was not sold (unknown_deduction)', (pass) => countOf(pass, 'return', 'unknown_deduction')],
    ['invalid answers', (pass) => [...pass.results.values()].filter(({ is }) => is === 'unclear').length],
    [
      'tried again without a final answer',
      ({ sender }) => [...sender.retryReasons].map(([reason, count]) => `${reason} ${count}`).join(', ') || 0,
    ],
    ['run time', ({ seconds }) => `${seconds.toFixed(1)} s`],
    ['requests per second, with retries', ({ sender, seconds }) => (sender.attemptCount / seconds).toFixed(1)],
    ...ORDER_FIGURES.map(
      ([title, value]) => [title, (pass: Pass) => value(answeredOrdersOf(pass), pass.seconds)] as const,
    ),
    [RETURN_LATENCY, (pass) => latencyCell(eventsOf(pass, 'return').map(([, { latencyMs }]) => latencyMs))],
  ];
  printTable(
    ['', ...passes.map(({ name }) => name)],
    rows.map(([what, value]) => [what, ...passes.map(value)]),
  );
  console.log(LATENCY_NOTE);
}

/** Prints the books of each shard. */
export function printBooks(books: readonly Books[]): void {
  printTable(
    ['shard', 'SKUs', 'opened', 'deducted', 'returned', 'left', 'flows', 'balances'],
    books.map((book, shard) => [
      String(shard).padStart(2, '0'),
      book.sku_count,
      String(book.opening),
      String(book.deducted),
      String(book.returned),
      String(book.leaved),
      book.flow_count,
      book.differences.length === 0 ? 'yes' : 'NO',
    ]),
  );
}

type OfKind<K extends ReplayEvent['kind']> = Extract<ReplayEvent, { kind: K }>;

function eventsOf<K extends ReplayEvent['kind']>({ results }: Pass, kind: K): (readonly [OfKind<K>, Result])[] {
  return [...results].filter((entry): entry is [OfKind<K>, Result] => entry[0].kind === kind);
}

function countOf(pass: Pass, kind: ReplayEvent['kind'], is: Result['is']): number {
  return eventsOf(pass, kind).filter(([, result]) => result.is === is).length;
}

function answeredOrdersOf(pass: Pass): AnsweredOrder[] {
  return eventsOf(pass, 'cart').map(([{ lines }, { latencyMs }]) => ({ lineCount: lines.length, latencyMs }));
}

function linesOf(carts: readonly (readonly [OfKind<'cart'>, Result])[]): number {
  return carts.reduce((sum, [{ lines }]) => sum + lines.length, 0);
}
