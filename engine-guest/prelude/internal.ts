/**
 * The token with which the prelude's own modules call a public constructor to wrap state that is already checked.
 * User code cannot get hold of it: it is never stored where a script can see it.
 */
export const INTERNAL: any = Object.freeze(Object.create(null));
