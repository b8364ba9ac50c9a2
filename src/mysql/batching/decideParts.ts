import { decide } from '../../core/ledger/decide.ts';
import type { BatchOperation, Decision } from '../../core/ledger/decide.ts';
import { decideJointly } from '../../core/ledger/decideJointly.ts';
import type { LedgerPart } from '../../core/ledger/decideJointly.ts';
import type { Ledger } from '../../core/ledger/ledger.ts';
import type { JointOperation } from '../../core/operation.ts';

/**
 * Decides an operation that has a part on each of some shards, mostly on one.
 *
 * @param parts at least one
 * @param ledgerOf the ledger of the shard of a part
 */
export function decideParts<P extends { readonly operation: BatchOperation }>(
  parts: readonly P[],
  ledgerOf: (part: P) => Ledger,
): Decision {
  const [only, ...others] = parts;
  if (only === undefined) throw new Error('an operation has at least one part');
  if (others.length === 0 && !hasRecord(only.operation)) return decide(ledgerOf(only), only.operation);
  return decideJointly(
    parts.map((part): LedgerPart => ({ ledger: ledgerOf(part), operation: jointOf(part.operation) })),
  );
}

/** Whether an operation writes the record of its transaction. */
export function hasRecord(operation: BatchOperation): boolean {
  return operation.kind === 'deduct' && operation.record !== undefined;
}

function jointOf(operation: BatchOperation): JointOperation {
  if ('lines' in operation) return operation;
  throw new Error(`an operation of the kind ${operation.kind} has its only part on one shard`);
}
