/** The folders of the tests that `npm test` runs. */
export const SUBJECTS = [
  ...['project', 'http', 'batching', 'mysql', 'orders'],
  ...['carts', 'hot', 'reconcile', 'process', 'precheck'],
] as const;

/** Folders with tests that only `npm run test:all` and `npm run test:long` run. */
export const SLOW_FOLDERS = ['long', 'whole'] as const;
