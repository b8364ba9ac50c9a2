import type { Balance, Call, CaseIds } from './sweptCalls.ts';

/** One operation to be interrupted, and its allowed outcomes. */
export interface SweptOperation {
  readonly name: string;
  /**
   * Takes several transactions, and operations of others in between change its outcome. After some seconds other
   * gateways abort the cart of a coordinator that is gone.
   */
  readonly isCart?: true;
  /** Its first line is held by a cart or a transaction whose record is missing. */
  readonly heldBy?: 'cart' | 'transaction';
  /** The calls before it, without a fault. */
  prepare(ids: CaseIds): readonly Call[];
  /** The call that is interrupted. */
  call(ids: CaseIds): Call;
  /** The first answer, and the answer when it is sent again after its effect; a refusal by its code. */
  readonly answers: { readonly first: number | string; readonly again: number | string };
  /** The balances of the SKUs without any effect and with the whole effect; equal when it changes nothing. */
  readonly without: readonly (Balance | null)[];
  readonly done: readonly (Balance | null)[];
}
