//! Run in the guest as the user of an SSH session, `agent --connect HOST PORT`: a connection that the session's client has asked for, made
//! from inside the guest, so what the guest may not reach, its clients may not either. Its bytes pass through the standard streams.
//!
//! On both come frames: the length of the rest, four bytes in network order, and that. The first one on standard output is empty when the
//! connection is there, else it says why it is not. An empty frame after that: its side sends no more, and may still be told something. The
//! end of standard input: the client has left, so what it has said is passed on, and no more is said.

mod resolve;

use std::fs::File;
use std::io::{self, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::io::AsFd;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const PIECE: usize = 32 * 1024;
/// The longest frame that is taken.
const LONGEST: usize = 1024 * 1024;

/// Connects, passes bytes on until both sides have said all, and ends the process.
pub fn connect(host: &str, port: &str) -> ! {
    let code = match open(host, port) {
        Ok(socket) => relay(socket).map_or(1, |()| 0),
        Err(error) => {
            let words = error.to_string();
            let _ = output().and_then(|mut output| send(&mut output, words.as_bytes()));
            1
        }
    };
    std::process::exit(code)
}

fn open(host: &str, port: &str) -> Result<TcpStream> {
    let port: u16 = port
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no such port"))?;
    let mut last = None;
    for address in resolve::addresses(host)? {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

fn output() -> Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn relay(mut socket: TcpStream) -> Result<()> {
    let mut output = output()?;
    send(&mut output, b"")?;
    // Small pieces are answers that somebody waits for.
    let _ = socket.set_nodelay(true);
    let mut outgoing = socket.try_clone()?;
    let input = thread::spawn(move || {
        pass_on(&mut io::stdin().lock(), &mut outgoing, |socket| {
            let _ = socket.shutdown(Shutdown::Write);
        })?;
        // Nobody listens any more, whatever the other side still has to say.
        std::process::exit(0)
    });
    let mut frame = vec![0; 4 + PIECE];
    loop {
        let count = socket.read(&mut frame[4..])?;
        frame[..4].copy_from_slice(&(count as u32).to_be_bytes());
        output.write_all(&frame[..4 + count])?;
        if count == 0 {
            break;
        }
    }
    input.join().unwrap_or(Ok(()))
}

/// Passes on what comes in frames, until there are no more. An error is one of the output: what it says to this side may still be read.
fn pass_on<O: Write>(input: &mut impl Read, output: &mut O, end: impl Fn(&mut O)) -> Result<()> {
    let mut frame = Vec::new();
    let mut header = [0; 4];
    while input.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes(header) as usize;
        if length > LONGEST {
            break;
        }
        frame.resize(length, 0);
        if input.read_exact(&mut frame).is_err() {
            break;
        }
        if length == 0 {
            end(output);
        } else {
            output.write_all(&frame)?;
        }
    }
    Ok(())
}

fn send(output: &mut File, bytes: &[u8]) -> Result<()> {
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    output.write_all(&frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn frames_are_passed_on_with_the_end_of_what_is_said() {
        let mut said = Vec::new();
        let ends = Cell::new(0);
        let input = [&[0, 0, 0, 2][..], b"ab", &[0, 0, 0, 1], b"c", &[0, 0, 0, 0]].concat();
        pass_on(&mut &input[..], &mut said, |_| ends.set(ends.get() + 1)).unwrap();
        assert_eq!((&said[..], ends.get()), (&b"abc"[..], 1));
        // What is cut off is not passed on, and neither is what nobody can mean.
        for rest in [&[0, 0][..], &[0, 0, 0, 9, 1], &[255, 0, 0, 0, 1]] {
            pass_on(&mut &rest[..], &mut said, |_| panic!()).unwrap();
        }
        assert_eq!(said, b"abc");
    }
}
