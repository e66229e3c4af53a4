/** Applies `next` to a value, or to what a promise of it gives: without a promise where nothing waited. */
export function whenDone<In, Out>(
  value: In | Promise<In>,
  next: (value: In) => Out | Promise<Out>,
): Out | Promise<Out> {
  return value instanceof Promise ? value.then(next) : next(value);
}
