/** The numbers of the procedure's own errors. */
export const BATCH_ERROR = {
  notMine: 30001,
  flowChanged: 30002,
  late: 30003,
  stockChanged: 30004,
  limitPassed: 30005,
} as const;
