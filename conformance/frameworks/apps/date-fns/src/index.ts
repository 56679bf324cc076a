import * as dates from "date-fns";
import { UTCDate } from "./utc.ts";
import { de, ja, ru } from "date-fns/locale";
import { format as formatOnly } from "date-fns/format";

const at = new Date(Date.UTC(2024, 1, 29, 13, 5, 9, 7));

const routes: Record<string, () => unknown> = {
  "/add": () => [dates.add(at, { years: 1, months: 2, weeks: 1, days: 3, hours: 5 }), dates.subMonths(at, 1), dates.addBusinessDays(at, 10)],
  "/difference": () => [dates.differenceInDays(new Date(Date.UTC(2025, 0, 1)), at), dates.differenceInCalendarMonths(new Date(Date.UTC(2025, 0, 1)), at), dates.intervalToDuration({ start: at, end: new Date(Date.UTC(2026, 5, 1)) })],
  "/distance": () => [dates.formatDistance(at, new Date(Date.UTC(2024, 4, 1)), { addSuffix: true }), dates.formatDistance(at, new Date(Date.UTC(2024, 4, 1)), { locale: de }), dates.formatDistanceStrict(at, new Date(Date.UTC(2030, 4, 1)), { locale: ru })],
  "/format": () => [formatOnly(at, "yyyy-MM-dd'T'HH:mm:ss.SSS"), dates.format(at, "PPPP pppp", { locale: de }).replace(/GMT.*/, ""), dates.format(at, "EEEE do MMMM y, QQQ", { locale: ja }), dates.formatISO(at, { representation: "date" }), dates.formatRFC7231(at), dates.lightFormat(at, "yy/M/d")],
  "/parse": () => [dates.parse("29 Feb 2024", "d MMM yyyy", new Date(0)), dates.parseISO("2024-02-29T10:00:00+02:00"), dates.isValid(dates.parseISO("2024-02-30")), dates.parseJSON("2024-02-29T10:00:00.000Z")],
  "/ranges": () => [dates.eachDayOfInterval({ start: at, end: dates.addDays(at, 3) }), dates.startOfWeek(at, { weekStartsOn: 1 }), dates.endOfMonth(at), dates.getISOWeek(at), dates.isLeapYear(at), dates.closestTo(at, [new Date(0), new Date(1e12)])],
  "/context": () => [dates.startOfDay(at, { in: (value) => new UTCDate(value as Date) }).toISOString(), dates.isBefore(at, new Date(1e12)), dates.max([at, new Date(0)]), dates.formatDuration({ hours: 2, minutes: 5 }), dates.roundToNearestMinutes(at, { nearestTo: 15 })],
  "/invalid": () => {
    try {
      return dates.format(new Date(NaN), "yyyy");
    } catch (error) {
      return [(error as Error).name, (error as Error).message];
    }
  },
};

export default {
  fetch(request: Request): Response {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(route()) : new Response("no such route", { status: 404 });
  },
};
