import { stripVTControlCharacters } from "node:util";

const GAP = "    ";

/**
 * A table without borders: upper-case headers, columns four blanks apart, each line ending in a newline.
 * Cells may be coloured; the last column is not padded.
 */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headers, ...rows];
  const widths = headers.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return all.map((row) => `${line(row, widths)}\n`).join("");
}

function line(row: readonly string[], widths: readonly number[]): string {
  const cells = widths.map((columnWidth, column) => {
    const cell = row[column] ?? "";
    return cell + " ".repeat(columnWidth - width(cell));
  });
  return cells.join(GAP).trimEnd();
}

function width(cell: string): number {
  return Array.from(stripVTControlCharacters(cell)).length;
}

/** `text` cut to at most `limit` characters, the last of them `…` when something was cut. */
export function cut(text: string, limit: number): string {
  const characters = Array.from(text);
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join("")}…`;
}
