//! Network namespaces: that of `--netns`, by name, path or inode, and the own one.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::snapshot::Netns;

/// The one that this process is in, by its inode; `None` when it cannot be read.
pub(super) fn own() -> Option<u32> {
    u32::try_from(fs::metadata("/proc/self/ns/net").ok()?.ino()).ok()
}

/// Where `ip netns` puts its names.
const NAMES: &str = "/run/netns";

/// The namespace that `text` names.
pub(super) fn find(text: &str) -> anyhow::Result<Netns> {
    if text.is_empty() {
        bail!("--netns: {TAKES}");
    }
    let named = Path::new(NAMES).join(text);
    // A name may be all digits, as an inode number is.
    match text.parse::<u32>() {
        Ok(0) => bail!("--netns: 0 is no namespace inode"),
        Ok(inode) if !named.exists() => Ok(Netns { inode, path: None }),
        _ if text.contains('/') => at(text.into()),
        _ => at(named),
    }
}

const TAKES: &str = "it takes a name from `ip netns`, a path such as /proc/PID/ns/net, or an inode number from \
                     `lsns -t net`";

fn at(path: PathBuf) -> anyhow::Result<Netns> {
    let shown = path.display();
    let file = File::open(&path).with_context(|| format!("--netns: {TAKES}; {shown} cannot be read"))?;
    // `ns_dname()`, `fs/nsfs.c`: its kind and inode.
    let name = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    let inode = name.to_str().and_then(|name| name.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok());
    match inode {
        Some(inode) => Ok(Netns { inode, path: Some(path) }),
        None => bail!("--netns: {shown} is not a network namespace; {TAKES}"),
    }
}
