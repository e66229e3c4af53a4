/** LabelSeries: one value for each combination of labels, found without making a key of them. Pure. */

export type Labels = Readonly<Record<string, string>>;

/** By the value of one label after another. */
type Branch<Series> = Map<string, Branch<Series> | Series>;

/** Makes a function that finds a series, or has it begun. `Series` is no Map. */
export function createLabelSeries<Series extends object>(
  labelNames: readonly string[],
  begin: (labels: Labels) => Series,
): (labels: Labels) => Series {
  const root: Branch<Series> = new Map();
  const names = labelNames.slice(0, -1);
  const lastName = labelNames.at(-1) ?? "";
  return (labels) => {
    let branch = root;
    for (const name of names) branch = descend(branch, labels[name] ?? "");
    const last = labels[lastName] ?? "";
    const known = branch.get(last);
    if (known !== undefined && !(known instanceof Map)) return known;
    const series = begin(labels);
    branch.set(last, series);
    return series;
  };
}

function descend<Series>(branch: Branch<Series>, value: string): Branch<Series> {
  const known = branch.get(value);
  if (known instanceof Map) return known;
  const next: Branch<Series> = new Map();
  branch.set(value, next);
  return next;
}
