//! Network namespaces: that of `--netns`, by name, path or inode, and the own one.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::{Context as _, bail};

use crate::snapshot::Netns;

/// The one that this process is in, by its inode; `None` when it cannot be read.
pub(super) fn own() -> Option<u32> {
    u32::try_from(fs::metadata("/proc/self/ns/net").ok()?.ino()).ok()
}

/// The namespace that `text` names.
pub(super) fn find(text: &str) -> anyhow::Result<Netns> {
    if let Ok(inode) = text.parse::<u32>() {
        if inode == 0 {
            bail!("--netns: 0 is no namespace inode");
        }
        return Ok(Netns { inode, path: None });
    }
    let path = if text.contains('/') { text.to_owned() } else { format!("/run/netns/{text}") };
    let metadata = fs::metadata(Path::new(&path)).with_context(|| {
        format!(
            "--netns takes a name from `ip netns`, a path such as /proc/PID/ns/net, or an inode number from \
             `lsns -t net`; {path} cannot be read"
        )
    })?;
    let inode = u32::try_from(metadata.ino())
        .with_context(|| format!("--netns: {path} is not a network namespace"))?;
    Ok(Netns { inode, path: Some(path.into()) })
}
