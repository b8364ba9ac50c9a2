import { mayHaveEffect, overAtMs } from './rules/effects.ts';
import type { SaleSent } from './history.ts';

/**
 * Whether a SKU can have been in a state, on sale or paused, at some moment of an interval. Every SKU begins on sale. A
 * change of state counts until another one was accepted that was sent after the first was over.
 */
export function mayHaveBeen(
  sales: readonly SaleSent[],
  sku_id: string,
  state: SaleSent['state'],
  fromMs: number,
  untilMs: number,
): boolean {
  const ofSku = sales.filter((sale) => sale.sku_id === sku_id && mayHaveEffect(sale));
  const begins = ofSku.filter((sale) => sale.state === state && sale.invokedMs <= untilMs).map(overAtMs);
  if (state === 'on') begins.push(-Infinity);
  const ends = ofSku.filter((sale) => sale.state !== state && sale.verdict === 'done' && sale.endedMs < fromMs);
  return begins.some((overMs) => !ends.some(({ invokedMs }) => invokedMs > overMs));
}
