const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `1.5 MiB` */
export function bytes(count: number | null): string {
  if (count === null) return "–";
  let value = count;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** `1.5 MiB/s` */
export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `12.5 %` */
export function percent(value: number): string {
  return `${value > 0 && value < 10 ? value.toFixed(1) : String(Math.round(value))} %`;
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const minutes = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const times = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export function date(ms: number | null): string {
  return ms === null ? "–" : dates.format(ms);
}

/** `11:35 PM`, as it is written here. */
export function minute(ms: number): string {
  return minutes.format(ms);
}

/** Of today or lately: without the day. */
export function time(ms: number): string {
  return times.format(ms);
}

/** `3 h 12 min` */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${String(hours)} h ${String(minutes % 60)} min`
    : `${String(Math.floor(hours / 24))} days`;
}

/**
 * A name that a guest has chosen, so that it is read as what it is: characters that steer a terminal or turn the direction of writing are
 * shown by their numbers.
 */
export function plain(name: string): string {
  return name.replace(
    /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u{${character.charCodeAt(0).toString(16)}}`,
  );
}
