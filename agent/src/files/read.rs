//! The contents of a file, as they are.

use super::attributes::open_regular;
use super::failed::{path_of, During, Outcome};
use super::link::Link;
use crate::generated::messages::{FileOpened, FileRead, Message};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom};

pub fn read(request: &FileRead, link: &Link) -> Outcome<()> {
    let path = path_of(&request.path);
    let (mut file, metadata) =
        open_regular(path, OpenOptions::new().read(true), 0).during("open", path)?;
    if request.offset > 0 {
        file.seek(SeekFrom::Start(request.offset))
            .during("seek", path)?;
    }
    let size = metadata.len();
    link.tell(Message::FileOpened(FileOpened { size }));
    let mut left = request.length.unwrap_or(u64::MAX);
    while left > 0 {
        let count = link
            .send_from(&file, left, |_| Vec::new())
            .during("read", path)?;
        if count == 0 {
            break;
        }
        left -= count as u64;
    }
    Ok(())
}
