//! The files of a recording: the current one, and full ones beside it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
};
use tcptrace_core::{
    capture::{Error, beginning},
    model::header::Header,
};

use super::Target;
use crate::sys::disk;

/// Mode of a capture. Only its owner may read it: it shows which hosts talk to each other.
const MODE: u32 = 0o600;

pub(super) struct Files {
    path: PathBuf,
    file: File,
    bytes: u64,
    keep: u32,
    /// The recording must end soon: do not wait for space on the disk.
    hurry: Arc<AtomicBool>,
    /// Takes the notices about a full disk.
    notify: Arc<disk::Notify>,
}

impl Files {
    /// Creates the first file.
    pub(super) fn create(
        target: &Target,
        header: &Header,
        hurry: Arc<AtomicBool>,
        notify: Arc<disk::Notify>,
    ) -> Result<Self, Error> {
        let path = target.path.clone();
        let failed = |source| Error::Io { path: path.clone(), source };
        let file = open(&path).map_err(failed)?;
        if target.max_bytes.is_some() && !file.metadata().map_err(failed)?.is_file() {
            // A rotation would put a regular file in place of the device or pipe.
            return Err(failed(io::Error::other(
                "it is no regular file, which files of a limited size must be; leave out --max-size",
            )));
        }
        let mut this = Self { path, file, bytes: 0, keep: target.keep, hurry, notify };
        this.begin(header)?;
        Ok(this)
    }

    /// Bytes of the current file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends; while the disk is full, waits for space.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Self { path, file, hurry, notify, .. } = self;
        let what = format!("capture {}", path.display());
        disk::write_all(file, bytes, &what, &**notify, || hurry.load(Ordering::Relaxed))
            .map_err(|error| self.failed(error))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Renames the current file to `FILE.1`, the previous `FILE.1` to `FILE.2`, and so on, and begins another file.
    pub(super) fn rotate(&mut self, header: &Header) -> Result<(), Error> {
        // Files behind a gap in the numbers keep their names.
        let is_free = |number: &u32| fs::symlink_metadata(self.numbered(*number)).is_err();
        let free = (1..self.keep).find(is_free).unwrap_or(self.keep);
        for number in (1..free).rev() {
            self.rename(number, number + 1)?;
        }
        if self.keep > 0 {
            self.rename(0, 1)?;
        }
        self.file = open(&self.path).map_err(|error| self.failed(error))?;
        self.bytes = 0;
        self.begin(header)
    }

    /// An error of this file.
    pub(super) fn failed(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    fn begin(&mut self, header: &Header) -> Result<(), Error> {
        let bytes = beginning(header).map_err(|error| self.failed(error))?;
        self.write(&bytes)
    }

    fn rename(&self, from: u32, to: u32) -> Result<(), Error> {
        match fs::rename(self.numbered(from), self.numbered(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

/// Creates a new file. A file that was there is removed first, so that the new one has neither its mode nor its other
/// names. A device or a pipe is opened as it is.
fn open(path: &PathBuf) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::remove_file(path)?,
        Ok(metadata) if metadata.is_symlink() => {
            return Err(io::Error::other("it is a symbolic link; name the file itself"));
        }
        Ok(_) => return open_device(path),
        Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Opens a device or a pipe. Without `O_NONBLOCK`, `open()` of a pipe without a reader would wait, also when signals
/// come.
fn open_device(path: &PathBuf) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(|error| {
        let is_unread = error.raw_os_error() == Some(Errno::ENXIO as i32);
        if is_unread { io::Error::other("nobody reads from it; start its reader first") } else { error }
    })?;
    let now = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(now & !OFlag::O_NONBLOCK))?;
    Ok(file)
}
