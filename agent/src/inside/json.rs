//! As much of JSON (RFC 8259) as it takes to read what programs say at the socket: it is checked, and what is passed on stays as it was
//! written. Nothing is built of it, and no depth of it costs stack.

use std::ops::Range;

/// How deep arrays and objects may lie in each other.
const MOST_DEPTH: usize = 512;

pub type Result<T> = std::result::Result<T, &'static str>;

/// Takes values from the front of a text.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// `text` is UTF-8.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Whether this is what comes next, which is taken then.
    pub fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<()> {
        match self.takes(byte) {
            true => Ok(()),
            false => Err(otherwise),
        }
    }

    pub fn at_end(&mut self) -> Result<()> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err("something follows the value"),
        }
    }

    /// Takes a string, as what it stands for.
    pub fn string(&mut self) -> Result<String> {
        let range = self.raw_string()?;
        let raw = &self.bytes[range.start + 1..range.end - 1];
        unescape(raw)
    }

    /// Takes any value. Returns where it stands.
    pub fn value(&mut self) -> Result<Range<usize>> {
        self.skip_space();
        let start = self.at;
        let mut around = Vec::new();
        loop {
            self.skip_space();
            let opened = match self.peek() {
                Some(b'{') => Some(b'}'),
                Some(b'[') => Some(b']'),
                Some(b'"') => self.raw_string().map(|_| None)?,
                Some(b'-' | b'0'..=b'9') => self.number().map(|()| None)?,
                Some(_) => self.literal().map(|()| None)?,
                None => return Err("it ends too soon"),
            };
            if let Some(close) = opened {
                self.at += 1;
                if !self.takes(close) {
                    around.push(close);
                    if around.len() > MOST_DEPTH {
                        return Err("it is nested too deeply");
                    }
                    if close == b'}' {
                        self.key()?;
                    }
                    continue;
                }
            }
            // A value has ended, and perhaps with it what is around it.
            loop {
                let close = match around.last() {
                    Some(close) => *close,
                    None => return Ok(start..self.at),
                };
                if self.takes(b',') {
                    if close == b'}' {
                        self.key()?;
                    }
                    break;
                }
                self.expect(close, "a comma or a closing bracket is missing")?;
                around.pop();
            }
        }
    }

    fn key(&mut self) -> Result<()> {
        self.skip_space();
        self.raw_string()?;
        self.expect(b':', "a colon is missing")
    }

    /// Takes a string. Returns where it stands, with its quotes.
    fn raw_string(&mut self) -> Result<Range<usize>> {
        self.skip_space();
        let start = self.at;
        self.expect(b'"', "a string is missing")?;
        loop {
            let byte = self.peek().ok_or("a string does not end")?;
            self.at += 1;
            match byte {
                b'"' => return Ok(start..self.at),
                b'\\' => self.escape()?,
                0..=0x1f => return Err("a control character in a string"),
                _ => {}
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<()> {
        let byte = self.peek().ok_or("a string does not end")?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4);
                if !digits.map_or(false, |digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err("a bad \\u in a string");
                }
                self.at += 4;
                Ok(())
            }
            _ => Err("a bad escape in a string"),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<()> {
        const BAD: Result<()> = Err("a bad number");
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.peek();
        let count = self.digits();
        if count == 0 || (count > 1 && first == Some(b'0')) {
            return BAD;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return BAD;
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return BAD;
            }
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<()> {
        for word in ["true", "false", "null"] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err("no JSON value")
    }
}

/// `raw`: checked already.
fn unescape(raw: &[u8]) -> Result<String> {
    let mut units: Vec<u16> = Vec::new();
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            flush(&mut units, &mut out)?;
            out.push(byte);
            continue;
        }
        let (&escaped, after) = rest.split_first().ok_or("a string does not end")?;
        rest = after;
        if escaped == b'u' {
            let digits = std::str::from_utf8(&rest[..4]).map_err(|_| "a bad \\u in a string")?;
            units.push(u16::from_str_radix(digits, 16).map_err(|_| "a bad \\u in a string")?);
            rest = &rest[4..];
            continue;
        }
        flush(&mut units, &mut out)?;
        out.push(match escaped {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            other => other,
        });
    }
    flush(&mut units, &mut out)?;
    String::from_utf8(out).map_err(|_| "a string is no text")
}

/// Surrogates come in pairs, so what follows each other is read together.
fn flush(units: &mut Vec<u16>, out: &mut Vec<u8>) -> Result<()> {
    if !units.is_empty() {
        let text = String::from_utf16(units).map_err(|_| "half a character in a string")?;
        out.extend_from_slice(text.as_bytes());
        units.clear();
    }
    Ok(())
}

/// Writes a string. It has no control characters.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_value(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_ok() && scanner.at_end().is_ok()
    }

    #[test]
    fn tells_values_from_what_is_none() {
        for text in [
            "null",
            " true ",
            "-0.5e+10",
            "0",
            "\"\\u00e9\\n\\\"\"",
            "[]",
            "{}",
            "[1,[2,{\"a\":[]}],\"\"]",
            "{\"a\" : {\"b\":null} , \"c\":[ ] }",
        ] {
            assert!(is_value(text), "{text}");
        }
        for text in [
            "",
            " ",
            "nul",
            "01",
            "1.",
            "-",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[",
            "[1",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "}",
            "[}",
            "{]",
            "1 2",
            "[1]]",
        ] {
            assert!(!is_value(text), "{text}");
        }
    }

    #[test]
    fn depth_has_a_bound_and_costs_no_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_value(&nested(MOST_DEPTH)));
        assert!(!is_value(&nested(MOST_DEPTH + 2)));
        assert!(!is_value(&"[".repeat(1 << 20)));
        assert!(!is_value(&"{\"a\":".repeat(1 << 18)));
    }

    #[test]
    fn reads_and_writes_strings() {
        let string = |text: &str| Scanner::new(text).string();
        assert_eq!(
            string("\"a\\u00e9\\ud83d\\ude00\\t\\/ü\"").unwrap(),
            "aé😀\t/ü"
        );
        assert!(string("\"\\ud83d\"").is_err());
        assert!(string("\"\\ude00\\ud83d\"").is_err());
        let mut out = Vec::new();
        quote("a\"\\ü", &mut out);
        assert_eq!(
            string(std::str::from_utf8(&out).unwrap()).unwrap(),
            "a\"\\ü"
        );
    }

    #[test]
    fn says_where_a_value_stands() {
        let mut scanner = Scanner::new("  [1, 2] ,3");
        assert_eq!(scanner.value(), Ok(2..8));
        assert!(scanner.takes(b','));
        assert_eq!(scanner.value(), Ok(10..11));
    }
}
