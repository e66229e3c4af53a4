/** ISO time: moments as Date.toISOString() writes them, for logs that write many: all but the milliseconds once a second. Pure. */

/** Makes a function from milliseconds since 1970 to text such as 2026-01-02T03:04:05.678Z. */
export function createIsoTime(): (ms: number) => string {
  let second = Number.NaN;
  let prefix = "";
  return (ms) => {
    const whole = Math.floor(ms / 1000);
    if (whole !== second) prefix = new Date(whole * 1000).toISOString().slice(0, -4);
    second = whole;
    return `${prefix}${String(Math.floor(ms) - whole * 1000).padStart(3, "0")}Z`;
  };
}
