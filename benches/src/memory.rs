//! What a tracked connection takes: a capture of a million that stay open, beside one of hardly any.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Result, ensure};
use tcptrace_synthetic::{PERIOD_NS, open};

use crate::{
    capture::{Frame, Message},
    recording, usage,
};

/// Connections of an entry of the ring.
const PER_ENTRY: u32 = 8;
/// Entries between two releases: those of a busy moment.
const PER_RELEASE: u32 = 64;
/// Connections of the capture that has hardly any.
const FEW: u32 = 16;

/// What was measured.
pub(crate) struct Memory {
    pub(crate) connections: u32,
    /// Resident at the peak with all of them, and with hardly any, KiB.
    pub(crate) peak_kib: [i64; 2],
}

impl Memory {
    /// Bytes that one more connection takes.
    pub(crate) fn per_connection(&self) -> f64 {
        let [many, few] = self.peak_kib;
        #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
        let more = (many - few) as f64 * 1024.0;
        more / f64::from(self.connections - FEW)
    }
}

/// Measures the tracer, replaying into nothing.
///
/// # Errors
/// When a capture cannot be made or replayed.
pub(crate) fn measure(tracer: &Path, connections: u32, folder: &Path) -> Result<Memory> {
    let frame = Frame::of(&recording::of_nothing(tracer, folder)?)?;
    let file = folder.join("open.capture");
    let mut peak_kib = [0; 2];
    for (count, peak) in [connections, FEW].into_iter().zip(&mut peak_kib) {
        write(&frame, count, &file)?;
        let mut arguments: Vec<OsString> = ["-o", "csv", "--max-connections"].map(OsString::from).to_vec();
        arguments.extend([(2 * connections).to_string().into(), "--from".into(), file.clone().into()]);
        let output = folder.join("output");
        let used = usage::of(tracer, &arguments, &output)?;
        // 4: on a busy host, the recording that lent its end had more transitions, which now seem lost.
        ensure!(matches!(used.code, Some(0 | 4)), "the replay ended with {:?}", used.code);
        let lines = BufReader::new(File::open(&output)?).split(b'\n').count();
        ensure!(
            lines > 2 * usize::try_from(count)?,
            "of {count} connections, the replay showed {lines} lines"
        );
        *peak = used.peak_kib;
    }
    Ok(Memory { connections, peak_kib })
}

/// A capture of so many connections that are opened and stay open.
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

    use tcptrace::{fuzzing, session};

    use super::*;

    /// A recording that is checked in: any will do for a header and an end.
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
        let replayed = fuzzing::trace(&capture, &session::Settings::default(), &mut out).expect("a replay");
        assert_eq!(replayed.damage, None);
        // The recording's own account is in its end, and its filters still apply.
        let summary = replayed.summary;
        assert_eq!(summary.delivered + summary.filtered - summary.counters.filtered, 2_002);
    }
}
