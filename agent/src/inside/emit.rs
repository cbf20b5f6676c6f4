//! `msb-emit NAME [JSON]`: tells the host of an event, or waits for those of the host. It is the agent's own file under another name, so
//! that it costs no memory.

use super::{json, LINK, SOCKET};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Where it is in a guest.
pub const PROGRAM: &str = "/.msb/bin/msb-emit";
const NAME: &str = "msb-emit";
const USAGE: &str = "usage: msb-emit NAME [JSON]
       msb-emit --listen NAME...
Tells the host of an event of this name, with JSON of at most 1 MiB as its data; - reads that from the standard input.
With --listen it prints what the host tells, a line of JSON for each event, until it is ended.";

/// Whether the program was called by this name.
pub fn is_called(by: &str) -> bool {
    by.rsplit('/').next() == Some(NAME)
}

/// Returns the exit code: 1 when the event was not taken, 2 for wrong arguments.
pub fn run(arguments: &[String]) -> i32 {
    let result = match arguments {
        [flag] if flag == "--help" => {
            println!("{USAGE}");
            return 0;
        }
        [flag, names @ ..] if flag == "--listen" && !names.is_empty() => listen(names),
        [name] if !name.starts_with("--") => send(name, None),
        [name, data] if !name.starts_with("--") => send(name, Some(data)),
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("msb-emit: {error}");
            1
        }
    }
}

fn send(name: &str, data: Option<&str>) -> Result<()> {
    let mut line = b"{\"event\":".to_vec();
    quote(name, &mut line)?;
    if let Some(data) = data {
        line.extend_from_slice(b",\"data\":");
        let from = line.len();
        match data {
            "-" => std::io::stdin().lock().read_to_end(&mut line).map(drop)?,
            data => line.extend_from_slice(data.as_bytes()),
        }
        check(&line[from..])?;
        // It may have several lines, though none in a string: their ends are between its parts.
        for byte in &mut line[from..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    line.extend_from_slice(b"}\n");
    let mut socket = connect()?;
    // An answer may have come before all was said.
    let written = socket
        .write_all(&line)
        .and_then(|()| socket.shutdown(Shutdown::Write));
    // It says what is wrong, or nothing: then the event is taken.
    let mut answer = String::new();
    let read = socket.read_to_string(&mut answer);
    match answer.strip_prefix("{\"error\":\"") {
        Some(words) => Err(invalid(words.trim_end().trim_end_matches("\"}"))),
        None => written.and(read.map(drop)),
    }
}

fn listen(names: &[String]) -> Result<()> {
    let mut line = b"{\"subscribe\":".to_vec();
    for (index, name) in names.iter().enumerate() {
        line.push(if index == 0 { b'[' } else { b',' });
        quote(name, &mut line)?;
    }
    line.extend_from_slice(b"]}\n");
    let mut socket = connect()?;
    socket.write_all(&line)?;
    let mut stdout = std::io::stdout();
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Of the standard output a line is written when it has ended.
        match socket.read(&mut buffer)? {
            0 => return Err(invalid("the agent has closed the connection")),
            count => stdout.write_all(&buffer[..count])?,
        }
    }
}

fn connect() -> Result<UnixStream> {
    UnixStream::connect(SOCKET)
        .or_else(|_| UnixStream::connect(LINK))
        .map_err(|error| Error::new(error.kind(), format!("{LINK}: {error}")))
}

fn quote(name: &str, line: &mut Vec<u8>) -> Result<()> {
    if name.chars().any(char::is_control) {
        return Err(invalid("the name has control characters"));
    }
    json::quote(name, line);
    Ok(())
}

fn check(data: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(data).map_err(|_| invalid("the data is not UTF-8"))?;
    let mut scanner = json::Scanner::new(text);
    let checked = scanner.value().and_then(|_| scanner.at_end());
    checked.map_err(|words| invalid(&format!("the data is no JSON: {words}")))
}

fn invalid(words: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, String::from(words))
}

#[cfg(test)]
mod tests {
    use super::{check, is_called};

    #[test]
    fn is_known_by_its_name() {
        assert!(is_called("msb-emit"));
        assert!(is_called("/.msb/bin/msb-emit"));
        assert!(!is_called("/init"));
        assert!(!is_called(""));
    }

    #[test]
    fn data_is_one_value() {
        assert!(check(b"{\n\"a\": 1\n}\n").is_ok());
        for data in ["", "x", "1,\"event\":\"other\"", "\"a\nb\"", "{} {}"] {
            assert!(check(data.as_bytes()).is_err(), "{data}");
        }
    }
}
