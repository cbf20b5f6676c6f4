//! Run in the guest as the user of an SSH session, `agent --sftp`: a server of SFTP, version 3, on its standard streams. What the user
//! may do is the kernel's business, as for every other program of his. (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for the
//! extensions.) Read `Server` in `server.rs` after this.

mod attributes;
mod handles;
mod names;
mod packet;
mod server;

use packet::bad;
use server::Server;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Result, Write};
use std::os::unix::io::AsFd;

/// The longest packet that is taken, as OpenSSH's.
const LONGEST: usize = 256 * 1024;
const BUFFER: usize = 64 * 1024;

/// Serves until the input ends.
pub fn serve() -> Result<()> {
    // The library's own streams have buffers of another size, and look for ends of lines.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    serve_on(&mut BufReader::with_capacity(BUFFER, input), &mut output)
}

fn serve_on(input: &mut impl Read, output: &mut impl Write) -> Result<()> {
    let mut server = Server::new();
    let mut request = Vec::new();
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 || length > LONGEST {
            return Err(bad("a packet is empty or longer than 256 KiB"));
        }
        request.resize(length, 0);
        input.read_exact(&mut request)?;
        output.write_all(server.answer(&request)?)?;
    }
}

#[cfg(test)]
mod tests;
