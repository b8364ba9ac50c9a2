import type { MetricsPage } from '../metrics/addUp.ts';

/** What the processes behind one address do together. */
export interface Siblings {
  /** Makes one page for all of them. @param own the page of this process */
  metricsPage(own: () => Promise<MetricsPage>): Promise<MetricsPage>;
  /** Takes the turn that one process at a time has. @returns how to give it back, or null while somebody has it */
  takeTurn(): Promise<(() => void) | null>;
}

/** Of a process that has no siblings. */
export function alone(): Siblings {
  let taken = false;
  return {
    metricsPage: (own) => own(),
    async takeTurn() {
      if (taken) return null;
      taken = true;
      return () => {
        taken = false;
      };
    },
  };
}
