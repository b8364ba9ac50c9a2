import type { Violation } from './rules/books.ts';
import { CALL_MS, waitUntil } from './finalChecks.ts';
import type { ProofWorld } from './world.ts';

const DIFFERENCES = /^stockgate_continuous_reconciliation_differences\{([^}]*)\} (\d+)$/gm;
const SKUS = /^stockgate_continuous_reconciliation_skus_total\{[^}]*\} (\d+)$/gm;

/**
 * Waits until the continuous reconciliation of the gateways has compared something, and shows no difference: one that
 * a fault left for a while, such as a hold, is gone after the next round.
 */
export async function nothingDiffers(world: ProofWorld): Promise<Violation[]> {
  let found: string[] = [];
  let skus = 0;
  const read = async (): Promise<boolean> => {
    const pages = await Promise.all(
      world.gateways.map(({ process }) =>
        world.client.call({ method: 'GET', url: `${process.adminUrl}/metrics`, waitMs: CALL_MS }),
      ),
    );
    found = pages.flatMap(({ text }) =>
      [...text.matchAll(DIFFERENCES)].flatMap(([, labels, count]) => (count === '0' ? [] : [`${count} of ${labels}`])),
    );
    skus = pages.reduce(
      (sum, { text }) => sum + [...text.matchAll(SKUS)].reduce((all, [, of]) => all + Number(of), 0),
      0,
    );
    return found.length === 0 && skus > 0;
  };
  try {
    await waitUntil(() => 'the continuous reconciliation finds no difference', read);
    return [];
  } catch {
    return [
      { invariant: 'reconciliation', what: `of ${skus} compared SKUs it shows: ${found.join('; ') || 'nothing'}` },
    ];
  }
}
