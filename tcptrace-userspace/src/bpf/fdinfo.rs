//! The kernel's facts about a loaded program in `/proc/self/fdinfo`.

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::fs::FileExt as _,
    },
};

/// Runs of a program and their time, while the kernel's statistics are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Number of runs.
    pub runs: u64,
    /// Total time of the runs, in nanoseconds.
    pub time_ns: u64,
}

/// Size of the buffer for the text; kernels write some hundred bytes.
const TEXT: usize = 4096;

/// A loaded program, and its open file of `/proc/self/fdinfo`. Each read of the file shows the present state.
#[derive(Debug)]
pub(super) struct Program<T> {
    /// The program's descriptor, which the file describes.
    _descriptor: T,
    file: Option<File>,
}

impl<T: AsFd> Program<T> {
    pub(super) fn new(descriptor: T) -> Self {
        let file = File::open(format!("/proc/self/fdinfo/{}", descriptor.as_fd().as_raw_fd())).ok();
        Self { _descriptor: descriptor, file }
    }
}

impl<T> Program<T> {
    /// How often the kernel did not run the program because it was running already on that CPU (`recursion_misses`);
    /// `None` where the kernel does not report it.
    pub(super) fn missed_runs(&self) -> Option<u64> {
        self.number("recursion_misses:")
    }

    /// The program's runs so far; `None` where the kernel does not report them.
    pub(super) fn run_stats(&self) -> Option<RunStats> {
        Some(RunStats { runs: self.number("run_cnt:")?, time_ns: self.number("run_time_ns:")? })
    }

    /// Whether the program was compiled to machine code; `None` where the kernel does not report it.
    pub(super) fn jited(&self) -> Option<bool> {
        self.number("prog_jited:").map(|jited| jited != 0)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let mut bytes = [0; TEXT];
        let len = self.file.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = str::from_utf8(bytes.get(..len)?).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use super::*;

    /// Any descriptor has such a file.
    #[test]
    fn each_read_shows_what_is_then() {
        let mut file = tempfile::tempfile().expect("a file");
        let program = Program::new(file.try_clone().expect("its descriptor"));
        assert_eq!(program.number("pos:"), Some(0));
        file.write_all(b"four").expect("some bytes");
        assert_eq!(program.number("pos:"), Some(4));
        file.seek(SeekFrom::Start(2)).expect("a place");
        assert_eq!((program.number("pos:"), program.missed_runs()), (Some(2), None));
    }
}
