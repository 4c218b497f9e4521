//! Finding tracefs, or mounting it where no other process sees it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{Error, privileges::lockdown_confidential};

/// Places where tracefs may be mounted.
pub(crate) const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const EVENT: &str = "events/sock/inet_sock_set_state";

/// The directory of the tracepoint `sock:inet_sock_set_state`.
///
/// Where tracefs is not mounted, this process gets a mount namespace of its own and mounts it there. The host does not
/// change, and the mount ends with the process, however that ends. Mounts and unmounts of the host show there as well;
/// otherwise the namespace would keep them busy. Must run before there are other threads.
///
/// # Errors
/// [`Error::NoTracefs`] when it cannot be mounted either, or lacks the event.
pub(super) fn event_directory() -> Result<PathBuf, Error> {
    if let Some(found) = mounted() {
        return Ok(found);
    }
    if PLACES.iter().any(|place| is_closed(Path::new(place))) {
        return Err(Error::NoTracefs("it is there, but reading it takes root or CAP_DAC_READ_SEARCH"));
    }
    mount_privately().map_err(|errno| Error::NoTracefs(errno.desc()))?;
    mounted().ok_or_else(|| {
        Error::NoTracefs(if lockdown_confidential() {
            "the kernel is locked down for confidentiality, which closes it"
        } else {
            "the event sock:inet_sock_set_state is not there"
        })
    })
}

fn mounted() -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(EVENT)).find(|event| event.join("format").exists())
}

fn is_closed(place: &Path) -> bool {
    fs::read_dir(place).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

fn mount_privately() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tracefs"), PLACES[0], Some("tracefs"), flags, NONE)
}
