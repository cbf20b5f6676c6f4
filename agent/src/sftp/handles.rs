//! What a client has open. Numbers are not used again while they are open, and a client cannot have more than it may.

use super::packet::{bad, Fields};
use crate::sys::{EINVAL, EMFILE};
use std::fs::{File, ReadDir};
use std::io::{Error, Result};
use std::path::PathBuf;

/// As many as the server promises with `limits@openssh.com`.
pub const MOST: usize = 1000;

pub enum Handle {
    File { file: File, append: bool },
    Directory { path: PathBuf, entries: ReadDir },
}

pub struct Handles {
    open: Vec<Option<Handle>>,
}

impl Handles {
    pub fn new() -> Handles {
        Handles { open: Vec::new() }
    }

    pub fn has_room(&self) -> Result<()> {
        if self.open.iter().flatten().count() < MOST {
            return Ok(());
        }
        Err(Error::from_raw_os_error(EMFILE))
    }

    pub fn add(&mut self, handle: Handle) -> u32 {
        let free = self.open.iter().position(Option::is_none);
        let index = free.unwrap_or(self.open.len());
        if index == self.open.len() {
            self.open.push(None);
        }
        self.open[index] = Some(handle);
        index as u32
    }

    fn slot(&mut self, fields: &mut Fields) -> Result<&mut Option<Handle>> {
        let mut number = Fields::new(fields.string()?);
        let slot = self.open.get_mut(number.u32()? as usize);
        match slot {
            Some(slot) if slot.is_some() => Ok(slot),
            _ => Err(bad("there is no such handle")),
        }
    }

    pub fn close(&mut self, fields: &mut Fields) -> Result<()> {
        *self.slot(fields)? = None;
        Ok(())
    }

    pub fn get(&mut self, fields: &mut Fields) -> Result<&mut Handle> {
        let slot = self.slot(fields)?;
        slot.as_mut().ok_or_else(|| bad("there is no such handle"))
    }

    pub fn file(&mut self, fields: &mut Fields) -> Result<(&mut File, bool)> {
        match self.get(fields)? {
            Handle::File { file, append } => Ok((file, *append)),
            Handle::Directory { .. } => Err(Error::from_raw_os_error(EINVAL)),
        }
    }
}
