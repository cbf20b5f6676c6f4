import type { ComponentChild, VNode } from "preact";

interface TableProps {
  /** For those who hear it. */
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly { readonly key: string; readonly cells: readonly ComponentChild[] }[];
  readonly empty: string;
}

/** A table; on a narrow screen each row is a card. The first cell of a row is its heading. A column without a name has buttons. */
export function Table({ caption, columns, rows, empty }: TableProps): VNode {
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    <table class="cards">
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column} scope="col">
              {column === "" ? <span class="unseen">Actions</span> : column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, cells }) => (
          <tr key={key}>
            {cells.map((cell, index) => {
              const label = columns[index] ?? "";
              if (index === 0)
                return (
                  <th key="0" scope="row" data-label={label}>
                    {cell}
                  </th>
                );
              return (
                <td key={String(index)} data-label={label} class={label === "" ? "actions" : undefined}>
                  {cell}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
