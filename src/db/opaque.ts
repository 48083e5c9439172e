/**
 * A condition that the planner cannot match with a partial index. For an update of rows that are found by their ids: the
 * planner could choose to read all of that index for each of them.
 *
 * @example opaque(`d.status = 'pending'`) // "case when d.status = 'pending' then true else false end"
 */
export const opaque = (condition: string): string => `case when ${condition} then true else false end`;
