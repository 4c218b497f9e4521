//! Other programs on the same event.
//!
//! The kernel names the event of a program in the `fdinfo` of its link (`tp_name`). For a classic tracepoint's program
//! it does so only if it is new enough, and never where the program is on a bare perf event. So some programs are
//! certainly on the event, and others possibly. A link that is pinned and held by no process is not found.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::Tracefs;

/// Name of the event.
const EVENT: &str = "inet_sock_set_state";
/// `BPF_PROG_TYPE_TRACEPOINT`, `include/uapi/linux/bpf.h`.
const PROG_TYPE_TRACEPOINT: &str = "5";

/// The programs that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Others {
    /// Processes with a program on the event.
    pub(in crate::commands::doctor) certain: Vec<String>,
    /// Processes with a classic tracepoint program whose event the kernel does not report.
    pub(in crate::commands::doctor) possible: Vec<String>,
    /// Instances of tracefs in which the event is switched on; the top one is `tracefs`.
    pub(in crate::commands::doctor) ftrace: Vec<String>,
    /// Whether descriptors of other users' processes, or tracefs, could not be read.
    pub(in crate::commands::doctor) incomplete: bool,
}

impl Others {
    /// Searches below `root`. Call it before this process has programs of its own.
    pub(in crate::commands::doctor) fn find(root: &Path) -> Self {
        let mut others = Self::default();
        others.processes(&root.join("proc"));
        others.instances(root);
        others
    }

    fn processes(&mut self, proc: &Path) {
        let Ok(entries) = fs::read_dir(proc) else {
            self.incomplete = true;
            return;
        };
        let mut pids: Vec<u32> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        for pid in pids {
            let process = proc.join(pid.to_string());
            match programs(&process) {
                Ok(Programs { on_event: false, unnamed: false }) => {}
                Ok(found) => {
                    let comm = fs::read(process.join("comm")).unwrap_or_default();
                    let shown = format!("{}[{pid}]", String::from_utf8_lossy(&comm).trim_end());
                    if found.on_event { &mut self.certain } else { &mut self.possible }.push(shown);
                }
                // A process that has ended meanwhile has no programs either.
                Err(error) => self.incomplete |= error.kind() == std::io::ErrorKind::PermissionDenied,
            }
        }
    }

    fn instances(&mut self, root: &Path) {
        let Tracefs::Mounted(place) = Tracefs::find(root) else {
            // The event may have been switched on before tracefs was unmounted, or elsewhere.
            self.incomplete = true;
            return;
        };
        let place = root.join(place);
        if enabled(&place) {
            self.ftrace.push("tracefs".to_owned());
        }
        let instances = fs::read_dir(place.join("instances")).into_iter().flatten();
        let mut names: Vec<_> = instances.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort();
        for name in names {
            if enabled(&place.join("instances").join(&name)) {
                self.ftrace.push(format!("tracefs instance {}", name.to_string_lossy()));
            }
        }
    }
}

/// Whether an instance records the event: `0`, `1`, or with a `*` for triggers.
fn enabled(instance: &Path) -> bool {
    let enable: PathBuf = ["events", "sock", EVENT, "enable"].iter().collect();
    fs::read_to_string(instance.join(enable)).is_ok_and(|text| text.trim() != "0")
}

/// The relevant programs of one process.
struct Programs {
    on_event: bool,
    /// It has a classic tracepoint program whose event no link names.
    unnamed: bool,
}

fn programs(process: &Path) -> std::io::Result<Programs> {
    let mut on_event = false;
    let (mut named, mut classic) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(process.join("fd"))? {
        let Ok(entry) = entry else { continue };
        // The link of a descriptor is cheap to read; its fdinfo is not.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if !matches!(target.to_str(), Some("anon_inode:bpf_link" | "anon_inode:bpf-prog")) {
            continue;
        }
        let Ok(info) = fs::read_to_string(process.join("fdinfo").join(entry.file_name())) else { continue };
        let field = |name: &str| info.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        let program = field("prog_id:").map(ToOwned::to_owned);
        if let Some(event) = field("tp_name:") {
            on_event |= event == EVENT;
            named.extend(program);
        } else if field("prog_type:") == Some(PROG_TYPE_TRACEPOINT) {
            classic.extend(program);
        }
    }
    Ok(Programs { on_event, unnamed: classic.difference(&named).next().is_some() })
}
