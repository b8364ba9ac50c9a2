/** The word for a successful change in the metrics: `replayed`, or the word for what was done. */
export function outcomeWord({ replayed }: { readonly replayed: boolean }, done = 'applied'): string {
  return replayed ? 'replayed' : done;
}
