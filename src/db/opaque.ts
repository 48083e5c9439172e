/**
 * A condition that the planner does not see through. For an update of rows that are found by their ids: if it sees that the
 * rows are also in a partial index, it may read all of that index for each of them.
 *
 * @example opaque(`d.status = 'pending'`) // "case when d.status = 'pending' then true else false end"
 */
export const opaque = (condition: string): string => `case when ${condition} then true else false end`;
