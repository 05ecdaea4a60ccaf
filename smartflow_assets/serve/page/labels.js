// Short names of series that stand beside each other: what tells them apart, without what all of them begin with. Pure.

const written = (dimensions) => Object.entries(dimensions ?? {});

/** A map of the name of each series (as /api/data gives it) -> the values of its dimensions, after its metric where there are several. */
export function labels(all) {
  const isOneMetric = new Set(all.map((each) => each.metric)).size < 2;
  const values = new Map();
  for (const each of all) for (const [name, value] of written(each.dimensions)) values.set(name, new Set([...(values.get(name) ?? []), value]));
  const tells = (name) => values.get(name).size > 1 || all.some((each) => !(name in (each.dimensions ?? {})));
  return new Map(all.map((each) => {
    const own = written(each.dimensions).filter(([name]) => all.length < 2 || tells(name)).map(([, value]) => value);
    return [each.series, [...(isOneMetric && own.length ? [] : [each.metric]), ...own].join(" · ") || each.series];
  }));
}
