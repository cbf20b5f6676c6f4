//! A line that a program says at the socket.

use super::json::Scanner;

/// Bytes of an event's name.
pub const MOST_NAME: usize = 128;
/// Bytes of an event's data.
pub const MOST_DATA: usize = 1 << 20;
/// Names that one program may listen for.
const MOST_NAMES: usize = 64;
/// What the host tells of itself: whoever hears such a name knows that no program of the guest has made it up.
const RESERVED: [&str; 3] = ["lifecycle:", "network:", "files:"];

#[derive(Debug, PartialEq)]
pub enum Request<'a> {
    /// `data`: JSON; empty where it has none.
    Event { name: String, data: &'a str },
    /// Names, or beginnings of names with a `*` after them.
    Subscribe(Vec<String>),
}

/// Reads a line, without its end. What is wrong is told in words.
pub fn parse(line: &[u8]) -> Result<Request<'_>, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let mut scanner = Scanner::new(text);
    scanner.expect(b'{', "it is no JSON object")?;
    let (mut name, mut data, mut names) = (None, None, None);
    let mut is_over = scanner.takes(b'}');
    while !is_over {
        let key = scanner.string()?;
        scanner.expect(b':', "a colon is missing")?;
        let is_again = match key.as_str() {
            "event" => name.replace(scanner.string()?).is_some(),
            "data" => data.replace(&text[scanner.value()?]).is_some(),
            "subscribe" => names.replace(strings(&mut scanner)?).is_some(),
            _ => return Err("a key that is none of event, data and subscribe"),
        };
        if is_again {
            return Err("a key that was there already");
        }
        is_over = !scanner.takes(b',');
        if is_over {
            scanner.expect(b'}', "a comma or a closing bracket is missing")?;
        }
    }
    scanner.at_end()?;
    match (name, data, names) {
        (Some(name), data, None) => event(name, data.unwrap_or("")),
        (None, None, Some(names)) => subscribe(names),
        _ => Err("either event, with data if you like, or subscribe has to be there"),
    }
}

fn event(name: String, data: &str) -> Result<Request<'_>, &'static str> {
    if !is_name(&name) || name.ends_with('*') {
        return Err("the event's name is empty, longer than 128 bytes, ends with * or has control characters");
    }
    if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
        return Err("names that begin with lifecycle:, network: or files: are the host's");
    }
    if data.len() > MOST_DATA {
        return Err("the event's data is longer than 1 MiB");
    }
    Ok(Request::Event { name, data })
}

fn subscribe<'a>(names: Vec<String>) -> Result<Request<'a>, &'static str> {
    match names.len() {
        0 => Err("there are no names to listen for"),
        count if count > MOST_NAMES => Err("there are more than 64 names to listen for"),
        _ if !names.iter().all(|name| is_name(name)) => {
            Err("a name is empty, longer than 128 bytes or has control characters")
        }
        _ => Ok(Request::Subscribe(names)),
    }
}

fn is_name(name: &str) -> bool {
    (1..=MOST_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// A string, or an array of strings.
fn strings(scanner: &mut Scanner) -> Result<Vec<String>, &'static str> {
    if !scanner.takes(b'[') {
        return Ok(vec![scanner.string()?]);
    }
    let mut all = Vec::new();
    if scanner.takes(b']') {
        return Ok(all);
    }
    loop {
        all.push(scanner.string()?);
        if all.len() > MOST_NAMES {
            return Err("there are more than 64 names to listen for");
        }
        if !scanner.takes(b',') {
            scanner.expect(b']', "a comma or a closing bracket is missing")?;
            return Ok(all);
        }
    }
}

/// Whether who listens for `wanted` is told of an event of this name.
pub fn is_wanted(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => wanted == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request<'_>, &'static str> {
        parse(line.as_bytes())
    }

    #[test]
    fn reads_events() {
        let event = |name: &str, data| {
            let name = String::from(name);
            Ok(Request::Event { name, data })
        };
        assert_eq!(parsed("{\"event\":\"built\"}"), event("built", ""));
        assert_eq!(
            parsed(" { \"data\" : {\"a\": [1, 2]} , \"event\":\"b\\u00fc\"}\r"),
            event("bü", "{\"a\": [1, 2]}")
        );
        assert_eq!(
            parsed("{\"event\":\"n\",\"data\":null}"),
            event("n", "null")
        );
    }

    #[test]
    fn reads_subscriptions() {
        let names = |names: &[&str]| {
            let names = names.iter().copied().map(String::from).collect();
            Ok(Request::Subscribe(names))
        };
        assert_eq!(parsed("{\"subscribe\":\"*\"}"), names(&["*"]));
        assert_eq!(
            parsed("{\"subscribe\":[\"a\",\"b*\"]}"),
            names(&["a", "b*"])
        );
    }

    #[test]
    fn refuses_everything_else() {
        let long = format!("{{\"event\":\"{}\"}}", "x".repeat(MOST_NAME + 1));
        let large = format!("{{\"event\":\"x\",\"data\":\"{}\"}}", "x".repeat(MOST_DATA));
        let many = format!("{{\"subscribe\":[{}\"a\"]}}", "\"a\",".repeat(MOST_NAMES));
        for line in [
            "",
            "{}",
            "[]",
            "null",
            "{\"event\":1}",
            "{\"event\":\"\"}",
            "{\"event\":\"a*\"}",
            "{\"event\":\"a\\n\"}",
            "{\"event\":\"lifecycle:stopped\"}",
            "{\"event\":\"network:dns\"}",
            "{\"event\":\"files:modified\"}",
            "{\"event\":\"a\",\"event\":\"b\"}",
            "{\"event\":\"a\",\"data\":}",
            "{\"event\":\"a\",\"data\":1",
            "{\"event\":\"a\"} x",
            "{\"event\":\"a\",}",
            "{\"event\":\"a\",\"subscribe\":[\"a\"]}",
            "{\"event\":\"a\",\"kind\":\"lifecycle\"}",
            "{\"data\":1}",
            "{\"subscribe\":[]}",
            "{\"subscribe\":[\"\"]}",
            "{\"subscribe\":[1]}",
            "{\"subscribe\":\"a\",\"data\":1}",
            &long,
            &large,
            &many,
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert!(parse(b"{\"event\":\"\xff\"}").is_err());
    }

    #[test]
    fn names_and_beginnings_of_names() {
        assert!(is_wanted("*", "anything"));
        assert!(is_wanted("build*", "build:done"));
        assert!(!is_wanted("build*", "rebuild"));
        assert!(is_wanted("a", "a") && !is_wanted("a", "ab"));
    }
}
