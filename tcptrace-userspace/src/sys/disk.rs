//! Writing to a disk that may be full. While the disk is full, a write waits for space. So the output has no hole, and
//! no torn line, where the disk was full.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    thread::sleep,
    time::Duration,
};

/// A disk is full, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskNotice {
    /// Writing waits for space.
    Full {
        /// The output, such as a file's name.
        what: String,
        /// The system's error text.
        error: String,
    },
    /// There is space again.
    HasSpace {
        /// The output.
        what: String,
    },
}

impl fmt::Display for DiskNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { what, error } => write!(f, "{what}: {error}; waiting for space"),
            Self::HasSpace { what } => write!(f, "{what}: there is space again"),
        }
    }
}

/// Takes the notices about full disks.
pub(crate) type Notify = dyn Fn(DiskNotice) + Send + Sync;

/// How often to try again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Writes all bytes, and flushes. While the disk is full it waits until `gives_up` returns true. It calls `notify` once
/// when the wait begins, and once when there is space again.
///
/// # Errors
/// Every error but a full disk; a full disk as well, once `gives_up` returns true.
pub(crate) fn write_all(
    output: &mut dyn Write,
    mut bytes: &[u8],
    what: &str,
    notify: &Notify,
    gives_up: impl Fn() -> bool,
) -> io::Result<()> {
    let mut is_full = false;
    loop {
        let outcome = if bytes.is_empty() { output.flush().map(|()| 0) } else { output.write(bytes) };
        match outcome {
            Ok(0) if bytes.is_empty() => break,
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_for_want_of_room(&error) && !gives_up() => {
                if !is_full {
                    notify(DiskNotice::Full { what: what.to_owned(), error: error.to_string() });
                }
                is_full = true;
                sleep(RETRY_EVERY);
            }
            Err(error) => return Err(error),
        }
    }
    if is_full {
        notify(DiskNotice::HasSpace { what: what.to_owned() });
    }
    Ok(())
}

fn is_for_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes three bytes at a time. It is full from the sixth byte on, until the try `full_until`.
    struct Disk {
        taken: Vec<u8>,
        tries: u32,
        full_until: u32,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tries += 1;
            if self.taken.len() >= 6 && self.tries < self.full_until {
                return Err(ErrorKind::StorageFull.into());
            }
            let part = &bytes[..bytes.len().min(3)];
            self.taken.extend_from_slice(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice() {
        let mut disk = Disk { taken: Vec::new(), tries: 0, full_until: 5 };
        let told = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&told);
        let notify = move |notice: DiskNotice| theirs.lock().expect("nobody panics").push(notice.to_string());
        write_all(&mut disk, b"one line of it\n", "test", &notify, || false)
            .expect("there is room in the end");
        assert_eq!(disk.taken, b"one line of it\n");
        let told = told.lock().expect("nobody panics");
        let [full, again] = &told[..] else { panic!("once each: {told:?}") };
        assert!(full.starts_with("test: ") && full.ends_with("; waiting for space"), "{full}");
        assert_eq!(again, "test: there is space again");
    }

    #[test]
    fn it_gives_up_when_it_is_told_to() {
        let mut disk = Disk { taken: Vec::new(), tries: 0, full_until: u32::MAX };
        let error = write_all(&mut disk, b"one line of it\n", "test", &|_| (), || true).expect_err("no room");
        assert_eq!((error.kind(), disk.taken.as_slice()), (ErrorKind::StorageFull, &b"one li"[..]));
    }
}
