//! Names of users and groups for the lines of a listing, and where users are at home.

use crate::commands::users::{read_database, GROUP, PASSWD};
use std::collections::HashMap;
use std::path::PathBuf;

/// Looked up once, when they are first needed.
#[derive(Default)]
pub struct Names {
    found: Option<(HashMap<u32, String>, HashMap<u32, String>)>,
}

impl Names {
    fn tables(&mut self) -> &(HashMap<u32, String>, HashMap<u32, String>) {
        self.found
            .get_or_insert_with(|| (table(PASSWD), table(GROUP)))
    }

    pub fn user(&mut self, uid: u32) -> String {
        let names = &self.tables().0;
        names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    pub fn group(&mut self, gid: u32) -> String {
        let names = &self.tables().1;
        names.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

/// The first name of each number, which is the third field of both.
fn table(path: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in read_database(path).unwrap_or_default().lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| String::from(name));
        }
    }
    names
}

/// The home directory of a user.
pub fn home_of(user: &str) -> Option<PathBuf> {
    let database = read_database(PASSWD).unwrap_or_default();
    let entry = database
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    entry
        .split(':')
        .nth(5)
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}
