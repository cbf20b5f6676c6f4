//! Where a command's program may be: the paths to try, in order, as execvp(3) does.

use crate::sys::{EACCES, ENODEV, ENOENT, ENOTDIR, ESTALE, ETIMEDOUT};

/// Used when the command's environment has no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of a variable in a list of `NAME=value`; the first one counts, as for getenv(3).
pub fn variable<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter()
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// The paths to try for `program`. One with a slash is taken as it is, relative to the command's working directory; an
/// empty part of PATH means that directory.
pub fn candidates(program: &str, env: &[String]) -> Vec<String> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.contains('/') {
        return vec![String::from(program)];
    }
    variable(env, "PATH")
        .unwrap_or(DEFAULT_PATH)
        .split(':')
        .map(|directory| match directory {
            "" => format!("./{program}"),
            _ => format!("{directory}/{program}"),
        })
        .collect()
}

/// Folds the failures of the candidates into the one to report.
pub struct Search {
    /// A program that was there but not allowed explains more than the ones that were not there.
    found: i32,
    /// With a single candidate its own failure is told.
    only: bool,
}

impl Search {
    pub fn new(candidates: usize) -> Search {
        Search {
            found: ENOENT,
            only: candidates == 1,
        }
    }

    /// Takes the errno of a candidate that failed. Returns the one to report when no other is worth a try.
    pub fn failed(&mut self, errno: i32) -> Option<i32> {
        match errno {
            _ if self.only => Some(errno),
            EACCES => {
                self.found = EACCES;
                None
            }
            ENOENT | ENOTDIR | ENODEV | ESTALE | ETIMEDOUT => None,
            _ => Some(errno),
        }
    }

    /// The errno to report after the last candidate.
    pub fn result(&self) -> i32 {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| String::from(*entry)).collect()
    }

    #[test]
    fn a_slash_means_no_search() {
        let env = env(&["PATH=/bin"]);
        assert_eq!(candidates("./tool", &env), ["./tool"]);
        assert_eq!(candidates("/bin/tool", &env), ["/bin/tool"]);
    }

    #[test]
    fn searches_the_path_of_the_command() {
        let env = env(&["PATHS=/x", "PATH=/a:/b/", "PATH=/c"]);
        assert_eq!(candidates("tool", &env), ["/a/tool", "/b//tool"]);
    }

    #[test]
    fn an_empty_part_is_the_working_directory() {
        assert_eq!(
            candidates("tool", &env(&["PATH=:/a:"])),
            ["./tool", "/a/tool", "./tool"]
        );
    }

    #[test]
    fn has_a_default_path() {
        assert!(candidates("sh", &[]).contains(&String::from("/bin/sh")));
    }

    #[test]
    fn an_empty_name_is_nowhere() {
        assert!(candidates("", &[]).is_empty());
        assert_eq!(Search::new(0).result(), ENOENT);
    }

    #[test]
    fn goes_on_after_missing_ones_and_remembers_a_forbidden_one() {
        const ENOEXEC: i32 = 8;
        let mut search = Search::new(3);
        assert_eq!(search.failed(ENOENT), None);
        assert_eq!(search.result(), ENOENT);
        assert_eq!(search.failed(EACCES), None);
        assert_eq!(search.failed(ENOTDIR), None);
        assert_eq!(search.result(), EACCES);
        assert_eq!(search.failed(ENOEXEC), Some(ENOEXEC));
    }

    #[test]
    fn a_single_candidate_tells_its_own_failure() {
        assert_eq!(Search::new(1).failed(ENOTDIR), Some(ENOTDIR));
    }
}
