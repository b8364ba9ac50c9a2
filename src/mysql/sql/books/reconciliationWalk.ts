import type { ReconciliationWalk } from '../../../core/ports/reconciliationWalks.ts';
import { bytesOf } from '../text/bytes.ts';
import { differencesOfText, textOfDifferences } from './differencesText.ts';
import type { Transaction } from '../../connection/transaction.ts';

/** The longest step and the longest pause together are shorter. */
export const LEASE_SECONDS = 120;

/** A lease that ends later than a new one would was taken before the clock was set back. */
const TAKE = `
UPDATE reconciliation_walk SET lease_token = ?, lease_until = SYSDATE(6) + INTERVAL ${LEASE_SECONDS} SECOND
 WHERE only_row = 1 AND (lease_token = ? OR lease_until IS NULL OR lease_until <= SYSDATE(6)
                         OR lease_until > SYSDATE(6) + INTERVAL ${LEASE_SECONDS} SECOND)`;
const READ = `
SELECT LOWER(HEX(after_sku)) AS afterSkuHex, LOWER(HEX(after_record)) AS afterRecordHex, round_skus, last_round_skus,
       CAST(UNIX_TIMESTAMP(last_round_at) * 1000 AS SIGNED) AS lastRoundMs, open_differences
  FROM reconciliation_walk WHERE only_row = 1`;
const STORE = `
UPDATE reconciliation_walk
   SET lease_until = SYSDATE(6) + INTERVAL ${LEASE_SECONDS} SECOND, after_sku = ?, after_record = ?, round_skus = ?,
       last_round_skus = ?, last_round_at = IF(?, SYSDATE(6), last_round_at),
       open_differences = ?
 WHERE only_row = 1 AND lease_token = ?`;
const RELEASE = 'UPDATE reconciliation_walk SET lease_until = NULL WHERE only_row = 1 AND lease_token = ?';

interface Row extends Pick<ReconciliationWalk, 'afterSkuHex' | 'afterRecordHex'> {
  readonly round_skus: number | string;
  readonly last_round_skus: number | string | null;
  readonly lastRoundMs: number | string | null;
  readonly open_differences: string | null;
}

/** Takes the lease of this shard for a process, or renews it. @returns false: another process has it */
export async function takeWalk(transaction: Transaction, token: string): Promise<boolean> {
  const bytes = Buffer.from(token, 'hex');
  return (await transaction.run(TAKE, [bytes, bytes])) === 1;
}

/** The stored position. @returns null: there is no row */
export async function readWalk(transaction: Transaction): Promise<ReconciliationWalk | null> {
  const [row] = await transaction.rows<Row>(READ, []);
  if (row === undefined) return null;
  const { round_skus, last_round_skus, lastRoundMs, open_differences, ...positions } = row;
  return {
    ...positions,
    roundSkus: Number(round_skus),
    lastRoundSkus: last_round_skus === null ? null : Number(last_round_skus),
    lastRoundMs: lastRoundMs === null ? null : Number(lastRoundMs),
    open: differencesOfText(open_differences),
  };
}

/** Stores a position and renews the lease. @returns false: the lease was lost */
export async function storeWalk(
  transaction: Transaction,
  token: string,
  { afterSkuHex, afterRecordHex, roundSkus, lastRoundSkus, open }: ReconciliationWalk,
  isRoundEnd: boolean,
): Promise<boolean> {
  const values = [bytesOrNull(afterSkuHex), bytesOrNull(afterRecordHex), roundSkus, lastRoundSkus, Number(isRoundEnd)];
  const text = textOfDifferences(open);
  const openText = text === null ? null : bytesOf(text);
  return (await transaction.run(STORE, [...values, openText, Buffer.from(token, 'hex')])) === 1;
}

/** Ends the lease of a process. */
export async function releaseWalk(transaction: Transaction, token: string): Promise<void> {
  await transaction.run(RELEASE, [Buffer.from(token, 'hex')]);
}

function bytesOrNull(hex: string | null): Buffer | null {
  return hex === null ? null : Buffer.from(hex, 'hex');
}
