// Makes `cldr.bin`, what `Intl` knows of locales, from the packages of CLDR on npm (cldr-core, cldr-dates-full,
// cldr-numbers-full, cldr-units-full, cldr-misc-full, cldr-localenames-full, cldr-bcp47; Unicode-3.0 licence).
//
//     npm install cldr-core@48 cldr-dates-full@48 … && node extract.mjs FOLDER/node_modules ../dist/cldr.bin
//
// The file is a line with the length of the index, the index (`TAG SECTION OFFSET LENGTH` a line), and sections: JSON,
// compressed with Brotli. A section that several locales share stands there once.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const [packages, target] = process.argv.slice(2);
const LANGUAGES = ("en de fr es it pt nl sv da nb no fi is pl cs sk sl hr sr hu ro bg el tr ru uk lt lv et ja ko zh " +
  "vi id ms hi bn ta he ar ca eu gl af sw").split(" ");
const read = (path) => JSON.parse(readFileSync(join(packages, path), "utf8"));
const supplement = (name) => read(`cldr-core/supplemental/${name}.json`).supplemental;

const without = (object, test) => Object.fromEntries(Object.entries(object).filter(([key]) => !test.test(key)));
const list = (object) => Object.values(without(object, /-alt-/));
const FOUR = ["full", "long", "medium", "short"];
const four = (object) => FOUR.map((name) => object[name]?._value ?? object[name]);
const widths = (object) => [object.wide, object.abbreviated, object.narrow].map(list);

function dates(main) {
  const all = main("dates", "ca-gregorian").dates.calendars.gregorian;
  const { eraNames, eraAbbr, eraNarrow } = all.eras;
  const dayPeriods = (object) => [object.wide, object.abbreviated, object.narrow].map((w) => without(w, /-alt-/));
  const joined = all["dateTimeFormats-atTime"].standard;
  return {
    months: widths(all.months.format), monthsAlone: widths(all.months["stand-alone"]),
    days: widths(all.days.format), daysAlone: widths(all.days["stand-alone"]),
    periods: dayPeriods(all.dayPeriods.format), eras: [eraNames, eraAbbr, eraNarrow].map(list),
    date: four(all.dateFormats), time: four(all.timeFormats), at: four(joined),
    formats: without(all.dateTimeFormats.availableFormats, /[wWQBvU]|-/), zone: all.dateTimeFormats.appendItems.Timezone,
    range: all.dateTimeFormats.intervalFormats.intervalFormatFallback,
  };
}

function zones(main) {
  const names = main("dates", "timeZoneNames").dates.timeZoneNames;
  const three = (of) => of && ["generic", "standard", "daylight"].map((kind) => of[kind] ?? 0);
  const both = (of) => [three(of.long) ?? 0, three(of.short) ?? 0];
  const own = {};
  const walk = (at, path) => {
    if (at._type === "zone" || at.long || at.short) {
      if (at.long || at.short) own[path] = both(at);
      return;
    }
    for (const [key, value] of Object.entries(at)) if (typeof value === "object") walk(value, path ? `${path}/${key}` : key);
  };
  walk(names.zone, "");
  const meta = Object.fromEntries(Object.entries(names.metazone ?? {}).map(([key, value]) => [key, both(value)]));
  return { hour: names.hourFormat, gmt: names.gmtFormat, zero: names.gmtZeroFormat, own, meta };
}

function numbers(main) {
  const all = main("numbers", "numbers").numbers;
  const system = all.defaultNumberingSystem;
  const part = (name) => all[`${name}-numberSystem-${system}`] ?? all[`${name}-numberSystem-latn`];
  const compact = (object) => without(object, /-alt-/);
  const money = part("currencyFormats");
  const currencies = {};
  for (const [code, it] of Object.entries(main("numbers", "currencies").numbers.currencies)) {
    const symbol = it.symbol ?? code;
    const narrow = it["symbol-alt-narrow"] ?? symbol;
    if (symbol !== code || narrow !== code) currencies[code] = symbol === narrow ? symbol : [symbol, narrow];
  }
  return {
    system, symbols: part("symbols"), minimum: +all.minimumGroupingDigits, decimal: part("decimalFormats").standard,
    percent: part("percentFormats").standard, scientific: part("scientificFormats").standard,
    currency: money.standard, accounting: money.accounting,
    alpha: money["standard-alphaNextToNumber"] ?? money.standard,
    accountingAlpha: money["accounting-alphaNextToNumber"] ?? money.accounting,
    short: compact(part("decimalFormats").short.decimalFormat), long: compact(part("decimalFormats").long.decimalFormat),
    shortCurrency: compact(money.short?.standard ?? {}), currencies,
    named: Object.fromEntries(Object.entries(money).filter(([key]) => key.startsWith("unitPattern-"))
      .map(([key, value]) => [key.slice(18), value])),
    range: part("miscPatterns").range, about: part("miscPatterns").approximately,
  };
}

const UNITS = ("acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare " +
  "hour inch kilobit kilobyte kilogram kilometer liter megabit megabyte meter microsecond mile mile-scandinavian milliliter " +
  "millimeter millisecond minute month nanosecond ounce percent petabyte pound second stone terabit terabyte week yard year")
  .split(" ");
const COMPOUNDS = { "speed-kilometer-per-hour": 1, "speed-mile-per-hour": 1, "speed-meter-per-second": 1,
  "consumption-liter-per-kilometer": 1, "consumption-mile-per-gallon": 1 };

function units(main) {
  const all = main("units", "units").units;
  return ["long", "short", "narrow"].map((width) => {
    const found = { per: all[width].per.compoundUnitPattern };
    for (const [key, it] of Object.entries(all[width])) {
      const name = key.slice(key.indexOf("-") + 1);
      if (!UNITS.includes(name) && !COMPOUNDS[key]) continue;
      const patterns = Object.entries(it).filter(([name]) => name.startsWith("unitPattern-"));
      found[name] = Object.fromEntries(patterns.map(([name, value]) => [name.slice(18), value]));
      if (it.perUnitPattern) found[name].per = it.perUnitPattern;
    }
    return found;
  });
}

function relative(main) {
  const all = main("dates", "dateFields").dates.fields;
  const found = {};
  for (const unit of ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]) {
    found[unit] = ["", "-short", "-narrow"].map((style) => {
      const it = all[unit + style];
      const times = (kind) => Object.fromEntries(Object.entries(it[`relativeTime-type-${kind}`])
        .map(([key, value]) => [key.slice("relativeTimePattern-count-".length), value]));
      const named = Object.entries(it).filter(([key]) => key.startsWith("relative-type-"));
      return [times("future"), times("past"), Object.fromEntries(named.map(([key, value]) => [key.slice(14), value]))];
    });
  }
  return found;
}

function lists(main) {
  const all = main("misc", "listPatterns").listPatterns;
  return Object.fromEntries(Object.entries(all).map(([key, it]) => [
    key.slice("listPattern-type-".length), [it[2], it.start, it.middle, it.end]]));
}

function names(main) {
  const of = (name) => main("localenames", name).localeDisplayNames;
  const simple = (object, test) => Object.fromEntries(Object.entries(object).filter(([key]) => test.test(key)));
  const currencies = Object.entries(main("numbers", "currencies").numbers.currencies).map(([code, it]) => {
    const counts = Object.entries(it).filter(([key]) => key.startsWith("displayName-count-"));
    const plurals = Object.fromEntries(counts.map(([key, value]) => [key.slice(18), value]));
    return [code, new Set([it.displayName, ...Object.values(plurals)]).size > 1 ? [it.displayName, plurals] : it.displayName];
  });
  return {
    language: simple(of("languages").languages, /^[a-z]{2,3}(-[A-Za-z]{2,4})?$/), region: simple(of("territories").territories, /^([A-Z]{2}|\d{3})$/),
    script: simple(of("scripts").scripts, /^[A-Z][a-z]{3}$/), currency: Object.fromEntries(currencies),
    pattern: of("localeDisplayNames").localeDisplayPattern.localePattern,
  };
}

const SECTIONS = { dates, zones, numbers, units, relative, lists, names };

function root() {
  const { metazoneInfo } = supplement("metaZones").metaZones;
  const meta = {};
  const walk = (at, path) => {
    if (!Array.isArray(at)) return Object.entries(at).forEach(([key, value]) => walk(value, path ? `${path}/${key}` : key));
    meta[path] = at.map(({ usesMetazone: it }) => (it._to ? [it._mzone, it._to] : it._mzone));
  };
  walk(metazoneInfo.timezone, "");
  const aliases = {};
  for (const it of Object.values(read("cldr-bcp47/bcp47/timezone.json").keyword.u.tz)) {
    const [first, ...others] = it._alias?.split(" ") ?? [];
    for (const other of others) aliases[other] = first;
  }
  const rules = (of) => Object.fromEntries(Object.entries(of).filter(([tag]) => LANGUAGES.includes(tag.split("-")[0]))
    .map(([tag, it]) => [tag, Object.fromEntries(Object.entries(it)
      .map(([key, rule]) => [key.slice("pluralRule-count-".length), rule.split("@")[0].trim()]).filter(([, rule]) => rule))]));
  const fractions = Object.entries(supplement("currencyData").currencyData.fractions);
  const systems = Object.entries(supplement("numberingSystems").numberingSystems).filter(([, it]) => it._type === "numeric");
  const times = Object.entries(supplement("timeData").timeData).map(([region, it]) => [region, it._preferred[0]]);
  const likely = Object.entries(supplement("likelySubtags").likelySubtags).filter(([tag]) => /^([a-z]{2,3}|und)(-|$)/.test(tag));
  return {
    zones: { meta, aliases },
    plurals: { cardinal: rules(supplement("plurals")["plurals-type-cardinal"]), ordinal: rules(supplement("ordinals")["plurals-type-ordinal"]) },
    digits: Object.fromEntries(systems.map(([name, it]) => [name, it._digits])),
    currencies: { digits: Object.fromEntries(fractions.filter(([, it]) => it._digits !== "2").map(([code, it]) => [code, +it._digits])) },
    likely: Object.fromEntries(likely),
    weeks: supplement("weekData").weekData,
    hours: Object.fromEntries(times),
  };
}

const blobs = [];
const index = [];
const seen = new Map();
let offset = 0;
function add(tag, section, value) {
  const text = JSON.stringify(value);
  if (!seen.has(text)) {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
    const blob = brotliCompressSync(text, { params });
    seen.set(text, [offset, blob.length]);
    blobs.push(blob);
    offset += blob.length;
  }
  index.push([tag, section, ...seen.get(text)]);
}

const { full } = read("cldr-core/availableLocales.json").availableLocales;
const chosen = full.filter((tag) => LANGUAGES.includes(tag.split("-")[0]) && tag !== "hi-Latn" && /^[a-z]{2}(-Han[st]|-Cyrl)?(-[A-Z]{2}|-\d{3})?$/.test(tag));
const twins = new Map(read("cldr-core/defaultContent.json").defaultContent.map((tag) => [tag, tag.split("-").slice(0, -1).join("-")]));
for (const [tag, data] of [["zh-CN", "zh"], ["zh-SG", "zh-Hans-SG"], ["zh-TW", "zh-Hant"], ["zh-HK", "zh-Hant-HK"], ["zh-MO", "zh-Hant-MO"]]) twins.set(tag, data);
const byData = new Map(chosen.map((tag) => [tag, [tag]]));
for (const [tag, data] of twins) byData.get(data)?.push(tag);
for (const [data, tags] of byData) {
  const main = (kind, file) => read(`cldr-${kind}-full/main/${data}/${file}.json`).main[data];
  for (const [section, make] of Object.entries(SECTIONS)) {
    const value = make(main);
    for (const tag of tags) add(tag, section, value);
  }
}
for (const [section, value] of Object.entries(root())) add("root", section, value);
const lines = index.map((row) => row.join(" ") + "\n").join("");
writeFileSync(target, Buffer.concat([Buffer.from(`${lines.length}\n${lines}`), ...blobs]));
console.log(`${chosen.length} locales, ${seen.size} sections, ${offset} bytes, index ${lines.length}`);
