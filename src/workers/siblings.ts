import type { MetricsPage } from '../metrics/addUp.ts';

/** The calls between the processes behind one address. */
export interface Siblings {
  /** Makes one page of metrics for all processes. @param own makes the page of this process */
  metricsPage(own: () => Promise<MetricsPage>): Promise<MetricsPage>;
  /**
   * Takes the right to reconcile, which one process at a time has.
   *
   * @returns a function that gives it back; null: it is taken
   */
  takeReconcileLease(): Promise<(() => void) | null>;
}

/** The calls of a process without siblings. */
export function noSiblings(): Siblings {
  let taken = false;
  return {
    metricsPage: (own) => own(),
    async takeReconcileLease() {
      if (taken) return null;
      taken = true;
      return () => {
        taken = false;
      };
    },
  };
}
