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

/// Those who may read a capture: it tells who talks to whom.
const MODE: u32 = 0o600;

pub(super) struct Files {
    path: PathBuf,
    file: File,
    bytes: u64,
    keep: u32,
    /// Wait no longer for space on the disk.
    hurry: Arc<AtomicBool>,
    /// Who is told of a full disk.
    notify: Arc<disk::Notify>,
}

impl Files {
    /// Makes the first one.
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
            // Another file in its place would not be what it was.
            return Err(failed(io::Error::other(
                "it is no regular file, which files of a limited size must be; leave out --max-size",
            )));
        }
        let mut this = Self { path, file, bytes: 0, keep: target.keep, hurry, notify };
        this.begin(header)?;
        Ok(this)
    }

    /// Bytes of the current one.
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

    /// Puts the current one beside, as `FILE.1`, what was there before as `FILE.2`, and so on, and begins another.
    pub(super) fn rotate(&mut self, header: &Header) -> Result<(), Error> {
        // Those behind a gap stay where they are.
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

/// A file of our own: one that was there is removed first, so that neither its mode nor its other names stay. What is no
/// regular file, a device or a pipe, is written to as it is.
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

/// What is no regular file. A pipe that nobody reads would keep whoever opens it waiting, deaf to signals.
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
