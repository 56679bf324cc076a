/** A date whose local time is UTC, as `date-fns` lets one make. */
export class UTCDate extends Date {
  constructor(value: Date | number | string = 0) {
    super(value);
  }
  override getTimezoneOffset(): number {
    return 0;
  }
}
