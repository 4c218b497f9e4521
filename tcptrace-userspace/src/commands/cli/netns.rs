//! `--netns`: a namespace by name, path or inode.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::scan::snapshot::Netns;

/// Where `ip netns` puts its names.
const NAMES: &str = "/run/netns";

/// The namespace that `text` names.
pub(super) fn find(text: &str) -> anyhow::Result<Netns> {
    if text.is_empty() {
        bail!("--netns: {TAKES}");
    }
    let named = Path::new(NAMES).join(text);
    // A name may be all digits, as an inode number is.
    match text.parse::<u32>().ok().filter(|_| !named.exists()) {
        Some(0) => bail!("--netns: 0 is no namespace inode"),
        Some(inode) => Ok(Netns { inode, path: None }),
        None if text.contains('/') => at(text.into()),
        None => at(named),
    }
}

const TAKES: &str = "it takes a name from `ip netns`, a path such as /proc/PID/ns/net, or an inode number from \
                     `lsns -t net`";

fn at(path: PathBuf) -> anyhow::Result<Netns> {
    let shown = path.display();
    let cannot = || format!("--netns: {TAKES}; {shown} cannot be read");
    let inode = fs::metadata(&path).with_context(cannot)?.ino();
    let system = statfs(&path).with_context(cannot)?.filesystem_type();
    // Those below /proc say of what kind they are; those that are mounted elsewhere do not.
    let kind = fs::read_link(&path).unwrap_or_default();
    let is_other = kind.to_str().is_some_and(|kind| kind.contains(":[") && !kind.starts_with("net:["));
    match u32::try_from(inode) {
        Ok(inode) if system == NSFS_MAGIC && !is_other => Ok(Netns { inode, path: Some(path) }),
        _ => bail!("--netns: {shown} is not a network namespace; {TAKES}"),
    }
}
