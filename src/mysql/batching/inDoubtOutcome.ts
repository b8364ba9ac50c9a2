import { Ledger } from '../../core/ledger/ledger.ts';
import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { LedgerRows } from '../../core/ledger/ledger.ts';
import { flowKeyText } from '../../core/types.ts';
import type { FlowKey } from '../../core/types.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { EntryDecision } from './batch.ts';
import { decideParts, hasRecord } from './decideParts.ts';
import { changesAnything } from './writeSets.ts';

/** One part of an operation, and the rows of its shard. */
export interface ReadPart {
  readonly operation: BatchOperation;
  readonly reading: LedgerRows;
}

const UNDONE = { is: 'not_done', reason: 'its batch was undone' } as const;

/**
 * The outcome of an operation whose batch was not answered. It is decided from the rows as they are once nothing of the
 * batch can be written any more. If the operation was to write a record, the record alone shows whether it was done:
 * its flows may have been written by another attempt at the same order.
 *
 * @param parts at least one
 * @param isOlder whether a flow existed before the batch. The batch took it for new, so the shard has refused the
 *   batch.
 */
export function resolveInDoubtOperation(
  parts: readonly ReadPart[],
  intended: EntryDecision,
  isOlder: (key: FlowKey) => boolean = () => false,
): OutcomeOf<BatchOperation> {
  const ledgers = new Map(parts.map((part) => [part, new Ledger(part.reading)]));
  const ledgerOf = (part: ReadPart): Ledger => ledgers.get(part) ?? new Ledger(part.reading);
  const recorder = parts.find(({ operation }) => hasRecord(operation));
  if (recorder !== undefined && wouldRecord(recorder, intended)) {
    const isCommitted = decisionOf(recorder) === 'committed';
    return isCommitted && intended.is === 'deducted' ? intended : UNDONE;
  }
  const now = decideParts(parts, ledgerOf);
  const changes = [...ledgers.values()].some((ledger) => changesAnything(ledger.writeSet()));
  if (changes || now.is === 'deferred' || now.is === 'lacking') return UNDONE;
  const takenForNew =
    intended.is === 'deducted' || intended.is === 'held' ? intended.lines.filter(({ replayed }) => !replayed) : [];
  const isOfAnother = (line: FlowKey): boolean => parts.some((part) => hasOtherTransaction(part, line));
  const wasWrong = takenForNew.some((line) => isOlder(line) || isOfAnother(line));
  if (now.is === intended.is) return now.is === 'refused' || wasWrong ? now : intended;
  // The operation was deducted by the batch and cancelled since.
  const wasCancelled = intended.is === 'deducted' && parts.every((part) => wasDeducted(ledgerOf(part), part.operation));
  return wasCancelled && !wasWrong ? intended : UNDONE;
}

function wouldRecord({ operation }: ReadPart, intended: EntryDecision): boolean {
  if (intended.is !== 'deducted') return false;
  const isDecision = operation.kind === 'deduct' && operation.isDecision === true;
  return isDecision || intended.lines.some(({ replayed }) => !replayed);
}

function decisionOf({ operation, reading }: ReadPart): string | null {
  const transaction = operation.kind === 'deduct' ? operation.transaction : undefined;
  return transaction === undefined ? null : (reading.records.get(transaction.transaction_id) ?? null);
}

/** Whether a line of this part has a flow that another transaction of the same order wrote. */
function hasOtherTransaction({ operation, reading }: ReadPart, line: FlowKey): boolean {
  if (operation.kind !== 'deduct' && operation.kind !== 'hold') return false;
  const key = flowKeyText(line);
  const flow = reading.flows.get(key) ?? null;
  if (flow === null || !operation.lines.some((own) => flowKeyText(own) === key)) return false;
  return flow.transaction?.transaction_id !== operation.transaction?.transaction_id;
}

function wasDeducted(ledger: Ledger, operation: BatchOperation): boolean {
  if (operation.kind !== 'deduct') return false;
  return operation.lines.every((line) => {
    const flow = ledger.flow(line);
    return (
      flow !== null &&
      flow.order_id === operation.order_id &&
      flow.quantity === line.quantity &&
      (flow.status === 'deducted' || flow.status === 'cancelled')
    );
  });
}
