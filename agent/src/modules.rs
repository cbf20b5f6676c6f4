//! Kernel modules from the initramfs: loaded by name, in an order that satisfies their dependencies.

pub use crate::generated::modules::{DISK, EARLY};
use crate::sys::{self, EEXIST};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where each module's file is.
#[derive(Default)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    /// Open, because the files go with the initramfs.
    kept: RefCell<BTreeMap<String, File>>,
}

impl Modules {
    /// Looks through /lib/modules/<release>; without that directory there are no modules, which is fine for a kernel
    /// with everything built in.
    pub fn find(release: &str) -> Modules {
        let mut modules = Modules::default();
        modules.index(&Path::new("/lib/modules").join(release));
        modules
    }

    fn index(&mut self, directory: &Path) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(_) => return,
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.index(&path),
                Ok(_) => {
                    if let Some(name) = module_name(&path) {
                        self.files.insert(name, path);
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Keeps a module's file, so that it can be loaded when the initramfs is gone.
    pub fn keep(&self, name: &str) {
        let name = normalized(name);
        if let Some(Ok(file)) = self.files.get(&name).map(File::open) {
            self.kept.borrow_mut().insert(name, file);
        }
    }

    /// Loads a module. One without a file is taken to be built in; a failure is told on the console, because what it
    /// means shows only later, when something misses the driver.
    pub fn load(&self, name: &str) {
        let name = &normalized(name);
        let path = match self.files.get(name) {
            Some(path) => path,
            None => return,
        };
        let kept = self.kept.borrow_mut().remove(name);
        let file = kept.map_or_else(|| File::open(path), Ok);
        let result = file.and_then(|file| sys::load_module(&file));
        match result {
            Ok(()) => {}
            Err(error) if sys::errno_of(&error) == EEXIST => {}
            Err(error) => eprintln!("agent: cannot load module {name}: {error}"),
        }
    }
}

/// The module's name if the file is an uncompressed module.
fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".ko")?;
    Some(normalized(name))
}

/// To the kernel `-` and `_` are the same in a module's name.
fn normalized(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_modules_as_the_kernel_does() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("/a/virtio_blk.ko"), Some(String::from("virtio_blk")));
        assert_eq!(name("pvpanic-mmio.ko"), Some(String::from("pvpanic_mmio")));
        assert_eq!(name("ext4.ko.xz"), None);
        assert_eq!(name("modules.dep"), None);
    }

    #[test]
    fn finds_files_at_any_depth() {
        let root = std::env::temp_dir().join(format!("agent-modules-{}", std::process::id()));
        let deep = root.join("kernel/drivers/misc");
        fs::create_dir_all(&deep).unwrap();
        File::create(deep.join("deep-one.ko")).unwrap();
        File::create(root.join("flat.ko")).unwrap();
        let mut modules = Modules::default();
        modules.index(&root);
        fs::remove_dir_all(&root).unwrap();
        let names: Vec<&str> = modules.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["deep_one", "flat"]);
    }
}
