//! A file that a patch puts into the root.

use super::clear;
use super::place::Place;
use crate::files::failed::{During, Outcome};
use crate::files::link::Link;
use crate::files::replace::{Attributes, Replacement};
use crate::files::target::Destination;
use crate::generated::messages::PatchApply;
use crate::guest::places;
use crate::sys::EISDIR;
use std::fs::{File, Metadata};
use std::io::{Error, Result};

/// A file on its way to its place. What is there stays until the new one is whole.
pub struct PlacedFile<'a> {
    replacement: Replacement,
    place: &'a Place,
    /// The link that is there is followed.
    follows: bool,
    /// Its owner is root, whatever the directory says.
    owned: bool,
}

impl PlacedFile<'_> {
    pub fn begin<'a>(request: &PatchApply, place: &'a Place) -> Result<PlacedFile<'a>> {
        let found = place.found(request.replace)?;
        if request.keep_directories && found.as_ref().map_or(false, Metadata::is_dir) {
            return Err(Error::from_raw_os_error(EISDIR));
        }
        // A directory of the host's is changed as a program of the guest would do it.
        let follows = request.in_place && found.map_or(false, |found| found.is_symlink());
        let replacement = match follows {
            true => Replacement::begin(&place.at())?,
            false => Replacement::in_directory(place.open()?, &place.name, None)?,
        };
        Ok(PlacedFile {
            replacement,
            place,
            follows,
            owned: !request.in_place,
        })
    }

    pub fn finish(mut self, mode: u32, link: &Link) -> Outcome<()> {
        let path = self.place.path();
        let attributes = Attributes {
            mode: Some(mode),
            owner: self.owned.then(|| (0, 0)),
            modified: None,
        };
        let at = self.place.at();
        if !self.follows && places::is_directory(&at) {
            clear(&at, false, link)?;
        }
        let finished = self.replacement.finish(attributes).during("write", path);
        self.replacement.explain(finished)
    }
}

impl Destination for PlacedFile<'_> {
    fn file(&mut self) -> Result<&mut File> {
        self.replacement.file()
    }
}
