//! The memory of a tracked connection: a capture of a million that stay open, compared with a capture of a few.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use tcptrace_synthetic::{PERIOD_NS, open};

use crate::{
    capture::{Frame, Message},
    recording, usage,
};

/// Connections in an entry of the ring.
const PER_ENTRY: u32 = 8;
/// Entries between two releases, as in a busy moment.
const PER_RELEASE: u32 = 64;
/// Connections of the small capture.
const FEW: u32 = 16;

/// The results of the measurement.
pub(crate) struct Memory {
    pub(crate) connections: u32,
    /// Peaks of resident memory with all connections, and with a few, KiB.
    pub(crate) peak_kib: [i64; 2],
}

impl Memory {
    /// Bytes for each further connection.
    pub(crate) fn per_connection(&self) -> f64 {
        let [many, few] = self.peak_kib;
        #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
        let more = (many - few) as f64 * 1024.0;
        more / f64::from(self.connections - FEW)
    }
}

/// Captures of many open connections and of a few.
pub(crate) struct Captures {
    connections: u32,
    files: [PathBuf; 2],
}

/// Makes the captures, with the header and the end of a recording by this tracer.
///
/// # Errors
/// When the tracer does not record, or a capture cannot be written.
pub(crate) fn captures(tracer: &Path, connections: u32, folder: &Path) -> Result<Captures> {
    let frame = Frame::of(&recording::of_nothing(tracer, folder)?)?;
    let files = ["open.capture", "few.capture"].map(|name| folder.join(name));
    for (count, file) in [connections, FEW].into_iter().zip(&files) {
        write(&frame, count, file)?;
    }
    Ok(Captures { connections, files })
}

impl Captures {
    /// The tracer's peaks of resident memory in the replays of both captures, KiB.
    ///
    /// # Errors
    /// When a capture cannot be replayed.
    pub(crate) fn replay(&self, tracer: &Path, output: &Path) -> Result<[i64; 2]> {
        let mut peak_kib = [0; 2];
        for ((count, file), peak) in [self.connections, FEW].into_iter().zip(&self.files).zip(&mut peak_kib) {
            let mut arguments: Vec<OsString> =
                ["-o", "csv", "--max-connections"].map(OsString::from).to_vec();
            arguments.extend([(2 * self.connections).to_string().into(), "--from".into(), file.into()]);
            let used = usage::of(tracer, &arguments, output)?;
            // 4: on a busy host, the recording that the end comes from had more transitions, which now count as lost.
            ensure!(matches!(used.code, Some(0 | 4)), "the replay ended with {:?}", used.code);
            let lines = BufReader::new(File::open(output)?).split(b'\n').count();
            ensure!(
                lines > 2 * usize::try_from(count)?,
                "of {count} connections, the replay showed {lines} lines"
            );
            *peak = used.peak_kib;
        }
        Ok(peak_kib)
    }
}

/// Measures the tracer while it replays into a file.
///
/// # Errors
/// When a capture cannot be made or replayed.
pub(crate) fn measure(tracer: &Path, connections: u32, folder: &Path) -> Result<Memory> {
    let peak_kib = captures(tracer, connections, folder)?.replay(tracer, &folder.join("output"))?;
    Ok(Memory { connections, peak_kib })
}

/// Writes a capture of this many connections that are opened and stay open.
fn write(frame: &Frame, connections: u32, file: &Path) -> Result<()> {
    let mut capture = frame.begin(file)?;
    let (mut entry, mut now_ns) = (Vec::new(), 0);
    for number in 0..connections {
        now_ns += PERIOD_NS;
        open(number, now_ns, &mut entry);
        let (done, is_last) = (number + 1, number + 1 == connections);
        if done % PER_ENTRY == 0 || is_last {
            capture.put(&Message::Entry(&entry))?;
            entry.clear();
        }
        if done % (PER_ENTRY * PER_RELEASE) == 0 || is_last {
            capture.put(&Message::Released(now_ns + PERIOD_NS))?;
        }
    }
    capture.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tcptrace::{commands::stream, fuzzing};

    use super::*;

    /// A recording that is checked in: any recording has a suitable header and end.
    const RECORDING: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tcptrace-userspace/tests/scenarios/an_idle_namespace_is_healthy.capture"
    );

    #[test]
    fn the_library_reads_such_a_capture() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("capture");
        let frame = Frame::of(Path::new(RECORDING)).expect("a recording");
        write(&frame, 1_001, &file).expect("a capture");
        let mut out = Vec::new();
        let capture = fs::read(&file).expect("what was written");
        let replayed = fuzzing::trace(&capture, &stream::Settings::default(), &mut out).expect("a replay");
        assert_eq!(replayed.damage, None);
        // The end of the capture has the recording's own account, and its filters still apply.
        let summary = replayed.summary;
        assert_eq!(summary.delivered + summary.filtered - summary.counters.filtered, 2_002);
    }
}
