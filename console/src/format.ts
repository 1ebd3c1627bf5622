// Numbers, sizes and times in the language of the browser.

const count = new Intl.NumberFormat();
const one = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

export const number = (value: number): string => count.format(value);

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? count.format(value) : one.format(value)} ${units[unit]}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${count.format(Math.max(0, Math.round(ms)))} ms`;
  if (ms < 60_000) return `${one.format(ms / 1000)} s`;
  const seconds = Math.floor(ms / 1000);
  return `${count.format(Math.floor(seconds / 60))} min ${seconds % 60} s`;
}

export const time = (iso: string): string => dateTime.format(new Date(iso));
export const preciseTime = (iso: string): string => clock.format(new Date(iso));
export const between = (from: string, to: string): number => Date.parse(to) - Date.parse(from);

/** Visible stand-ins for what would be invisible, or would turn the text around. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (sign) => {
    if (sign === "\n") return "⏎";
    if (sign === "\t") return "⇥";
    return `\u2039U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u203a`;
  });
}
