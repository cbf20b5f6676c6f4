//! As much of SQLite's file format (sqlite.org/fileformat2.html) as it takes to write a database of tables each of which fits on a page.

/// Bytes of a page. The first one has the schema, each other one a table.
const PAGE: usize = 16384;
const HEADER: usize = 100;
/// Of a page whose cells are the rows of a table.
const TABLE_LEAF: u8 = 0x0d;
/// The same of a table without numbers (WITHOUT ROWID).
const INDEX_LEAF: u8 = 0x0a;
const LEAF_HEADER: usize = 8;
/// A row that is longer than a page less this goes on elsewhere.
const OVERHEAD: usize = 35;
/// Its number is compared by nobody; the features that are used are of 3.7.
const VERSION: u32 = 3_007_000;

/// A value of a row.
#[derive(Clone)]
pub enum Value {
    Null,
    /// From 0 to 127.
    Small(u8),
    Text(String),
    Blob(Vec<u8>),
}

/// A table. Numbers of rows begin with 1.
pub struct Table {
    pub name: &'static str,
    /// What makes it.
    pub sql: String,
    pub rows: Rows,
}

pub enum Rows {
    Numbered(Vec<Vec<Value>>),
    /// The table has none yet, and its rows will have no numbers.
    NoneUnnumbered,
}

/// A database of some tables. None: one of them does not fit.
pub fn database(tables: &[Table]) -> Option<Vec<u8>> {
    let text = |text: &str| Value::Text(String::from(text));
    let schema = |(index, table): (usize, &Table)| {
        let (kind, name) = (text("table"), text(table.name));
        let page = Value::Small(index as u8 + 2);
        vec![kind, name.clone(), name, page, text(&table.sql)]
    };
    let schema: Vec<_> = tables.iter().enumerate().map(schema).collect();
    let mut file = page(&schema, HEADER, TABLE_LEAF)?;
    file[..HEADER].copy_from_slice(&header(tables.len() as u32 + 1));
    for table in tables {
        file.extend(match &table.rows {
            Rows::Numbered(rows) => page(rows, 0, TABLE_LEAF)?,
            Rows::NoneUnnumbered => page(&[], 0, INDEX_LEAF)?,
        });
    }
    Some(file)
}

fn header(pages: u32) -> Vec<u8> {
    let mut header = b"SQLite format 3\0".to_vec();
    header.extend((PAGE as u16).to_be_bytes());
    // Versions of the format for who writes and who reads; nothing reserved; fractions that have to be these.
    header.extend([1, 1, 0, 64, 32, 32]);
    // Count of changes, pages, no free ones, version of the schema, its format, no size of a cache, no vacuum, UTF-8.
    for number in [1, pages, 0, 0, 1, 4, 0, 0, 1] {
        header.extend(u32::to_be_bytes(number));
    }
    header.resize(HEADER - 8, 0);
    header.extend(u32::to_be_bytes(1));
    header.extend(VERSION.to_be_bytes());
    header
}

/// Cells are at the end of a page, the places where they begin behind its header.
fn page(rows: &[Vec<Value>], start: usize, kind: u8) -> Option<Vec<u8>> {
    let mut page = vec![0; PAGE];
    let mut end = PAGE;
    let mut places = start + LEAF_HEADER;
    for (index, row) in rows.iter().enumerate() {
        let record = record(row);
        if record.len() > PAGE - OVERHEAD {
            return None;
        }
        let mut cell = varint(record.len());
        cell.extend(varint(index + 1));
        cell.extend(record);
        let begin = end.checked_sub(cell.len())?;
        if begin < places + 2 {
            return None;
        }
        page[begin..end].copy_from_slice(&cell);
        page[places..places + 2].copy_from_slice(&(begin as u16).to_be_bytes());
        (end, places) = (begin, places + 2);
    }
    page[start] = kind;
    page[start + 3..start + 5].copy_from_slice(&(rows.len() as u16).to_be_bytes());
    page[start + 5..start + 7].copy_from_slice(&(end as u16).to_be_bytes());
    Some(page)
}

fn record(values: &[Value]) -> Vec<u8> {
    let (mut types, mut body) = (Vec::new(), Vec::new());
    for value in values {
        types.extend(varint(match value {
            Value::Null => 0,
            Value::Small(_) => 1,
            Value::Blob(bytes) => 12 + 2 * bytes.len(),
            Value::Text(text) => 13 + 2 * text.len(),
        }));
        match value {
            Value::Null => {}
            Value::Small(number) => body.push(*number),
            Value::Blob(bytes) => body.extend(bytes),
            Value::Text(text) => body.extend(text.as_bytes()),
        }
    }
    // The length of this length counts.
    let mut head = varint(types.len() + 1);
    if head.len() > 1 {
        head = varint(types.len() + 2);
    }
    head.extend(types);
    head.extend(body);
    head
}

/// Seven bits a byte, the highest first; all but the last have the eighth.
fn varint(number: usize) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7f) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let rows: [(usize, &[u8]); 4] = [
            (0, &[0]),
            (127, &[127]),
            (128, &[0x81, 0]),
            (16_384, &[0x81, 0x80, 0]),
        ];
        for (number, bytes) in rows {
            assert_eq!(varint(number), bytes);
        }
    }

    #[test]
    fn what_does_not_fit_on_a_page_is_none() {
        let of = |rows: Vec<Vec<Value>>| {
            database(&[Table {
                name: "t",
                sql: String::from("CREATE TABLE t (a)"),
                rows: Rows::Numbered(rows),
            }])
        };
        let fits = |bytes: usize| of(vec![vec![Value::Blob(vec![1; bytes])]]).is_some();
        assert!(fits(PAGE - OVERHEAD - 5));
        assert!(!fits(PAGE - OVERHEAD - 3));
        let rows = |count: usize| vec![vec![Value::Blob(vec![1; 5_000])]; count];
        assert!(of(rows(3)).is_some());
        assert!(of(rows(4)).is_none());
    }
}
