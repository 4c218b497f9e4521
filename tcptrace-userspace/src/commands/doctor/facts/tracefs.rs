//! Whether the event's description in tracefs is available.

use std::{fs, io::ErrorKind, path::Path};

use super::text;
use crate::bpf::TRACEFS_PLACES;

const FORMAT: &str = "events/sock/inet_sock_set_state/format";

/// The state of tracefs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Tracefs {
    /// Mounted below this place, the event in it.
    Mounted(&'static str),
    /// Something is there that this process may not read.
    Forbidden(&'static str),
    /// Mounted here, but without the event.
    NoEvent(&'static str),
    /// Not mounted, though the kernel has it.
    NotMounted,
    /// The kernel does not have it.
    NotInKernel,
    /// Not mounted; whether the kernel has it could not be read.
    Unknown,
}

impl Tracefs {
    /// Searches for tracefs below `root`.
    pub(in crate::commands::doctor) fn find(root: &Path) -> Self {
        // Paths relative to the root.
        let places = TRACEFS_PLACES.map(|place| place.trim_start_matches('/'));
        let mut forbidden = None;
        for place in places {
            match fs::metadata(root.join(place).join(FORMAT)) {
                Ok(_) => return Self::Mounted(place),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    forbidden = forbidden.or(Some(place));
                }
                Err(_) => {}
            }
        }
        if let Some(place) = forbidden {
            return Self::Forbidden(place);
        }
        if let Some(place) = places.into_iter().find(|place| root.join(place).join("events").exists()) {
            return Self::NoEvent(place);
        }
        match text(root, "proc/filesystems") {
            Some(kinds) if kinds.lines().any(|line| line.split_whitespace().last() == Some("tracefs")) => {
                Self::NotMounted
            }
            Some(_) => Self::NotInKernel,
            None => Self::Unknown,
        }
    }
}
