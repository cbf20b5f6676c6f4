import { stripVTControlCharacters } from "node:util";
import { oneLine } from "./sanitize.ts";
import { Styled, type Text } from "./style.ts";

const GAP = "    ";

/**
 * A table without borders: upper-case headers, columns four blanks apart, each line ending in a newline.
 * Cells may be coloured; the last column is not padded. A cell is one line, whatever is in it.
 */
export function table(headers: readonly string[], rows: readonly (readonly Text[])[]): Styled {
  const all = [headers, ...rows].map((row) => row.map(cellText));
  const widths = headers.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  return new Styled(all.map((row) => `${line(row, widths)}\n`).join(""));
}

function cellText(cell: Text): string {
  return typeof cell === "string" ? oneLine(cell) : cell.raw;
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

/** `text` as one clean line, cut to at most `limit` characters, the last of them `…` when something was cut. */
export function cut(text: string, limit: number): string {
  const clean = oneLine(text);
  const characters = Array.from(clean);
  return characters.length <= limit ? clean : `${characters.slice(0, limit - 1).join("")}…`;
}
