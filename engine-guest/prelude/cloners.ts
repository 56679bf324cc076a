/**
 * Where features that bring cloneable objects of their own tell `structuredClone`, another feature, how to copy them.
 */

/** A copy of an object of the feature's; null for anything else. */
type Cloner = (value: object) => object | null;

const cloners: Cloner[] = [];

export function registerCloner(cloner: Cloner): void {
  cloners[cloners.length] = cloner;
}

export function cloneOther(value: object): object | null {
  for (let i = 0; i < cloners.length; i++) {
    const clone = cloners[i]!(value);
    if (clone !== null) return clone;
  }
  return null;
}
