//! The initial file system of a guest: tools, modules, the tests and the tested binary.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Cursor, Write},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context, Result};
use cpio::newc;

/// The folder of the tests; `init` runs them all.
pub(crate) const TESTS: &str = "tests";
/// The folder of the modules, numbered in the order in which they are loaded.
pub(crate) const MODULES: &str = "modules";

/// Folders that `init` mounts something on.
const MOUNT_POINTS: [&str; 6] = ["proc", "sys", "dev", "tmp", "run", "etc"];

/// Folders of Debian's packages that no guest needs: documentation, conversion of character sets.
const LEFT_OUT: [&str; 3] = ["usr/share", "usr/lib/locale", "etc"];

/// An archive that is being written.
pub(crate) struct Image {
    writer: BufWriter<File>,
    inode: u32,
}

impl Image {
    /// Begins an archive with the folders that every guest has.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn create(file: &Path) -> Result<Self> {
        let file = File::create(file).with_context(|| file.display().to_string())?;
        let mut this = Self { writer: BufWriter::new(file), inode: 0 };
        for folder in MOUNT_POINTS.iter().chain(&[TESTS, MODULES]) {
            this.folder(folder)?;
        }
        Ok(this)
    }

    /// Adds an empty folder.
    pub(crate) fn folder(&mut self, name: &str) -> Result<()> {
        self.entry(name, 0o040_755, &[])
    }

    /// Adds a program or another file.
    pub(crate) fn file(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
        self.entry(name, 0o100_000 | mode, contents)
    }

    /// Adds a copy of the program `path`.
    pub(crate) fn program(&mut self, name: &str, path: &Path) -> Result<()> {
        let contents = fs::read(path).with_context(|| path.display().to_string())?;
        self.file(name, 0o755, &contents)
    }

    /// Adds everything below `root`, except the folders that no guest needs.
    pub(crate) fn tree(&mut self, root: &Path) -> Result<()> {
        // Some packages lack the links that join /bin to /usr/bin.
        for top in ["bin", "sbin", "lib", "lib64"] {
            if !root.join(top).exists() {
                self.entry(top, 0o120_777, format!("usr/{top}").as_bytes())?;
            }
        }
        self.below(root, Path::new(""))
    }

    fn below(&mut self, root: &Path, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let name = path.strip_prefix(root).context("below the root")?;
            let shown = name.to_str().context("a file name that is not UTF-8")?;
            let meta = path.symlink_metadata()?;
            if LEFT_OUT.contains(&shown) {
                continue;
            }
            if meta.is_symlink() {
                let link = fs::read_link(&path)?;
                self.entry(shown, 0o120_777, link.to_string_lossy().as_bytes())?;
            } else if meta.is_dir() {
                self.folder(shown)?;
                self.below(root, name)?;
            } else if meta.is_file() {
                self.file(shown, meta.permissions().mode() & 0o777, &fs::read(&path)?)?;
            } else {
                // Packages hold no other kinds of files; the kernel provides /dev.
                anyhow::ensure!(meta.rdev() != 0, "{shown} is no file");
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(contents.len()).context("a file of 4 GiB")?;
        let mut writer =
            newc::Builder::new(name).ino(self.inode).mode(mode).nlink(1).write(&mut self.writer, size);
        io::copy(&mut Cursor::new(contents), &mut writer)?;
        writer.finish()?;
        Ok(())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<()> {
        newc::trailer(&mut self.writer)?;
        self.writer.flush()?;
        Ok(())
    }
}
