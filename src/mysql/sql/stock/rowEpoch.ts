/**
 * The epoch that a write of new ids to a stock row must name; 0 for the row of a SKU that is not split, even if it was.
 */
export const ROW_EPOCH = "CAST(IF(intake = 'any', 0, epoch) AS SIGNED)";
