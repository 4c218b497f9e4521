//! The root of the cgroups, where programs see the sockets of the whole host.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use crate::sys::mountinfo;

/// `PROC_CGROUP_INIT_INO`, `include/linux/proc_ns.h`: the cgroup namespace that the host began with.
const INITIAL_NAMESPACE: u64 = 0xEFFF_FFFB;

/// A place in the hierarchy of version 2.
pub(super) struct Root {
    pub(super) directory: File,
    /// It is the root of the whole host: no cgroup is above it.
    pub(super) whole: bool,
}

/// Opens the root as far as this process can see it.
///
/// Where version 2 is not mounted, this does not mount it: the options of such a mount would apply to the hierarchy of
/// the whole host.
///
/// # Errors
/// It is not mounted, or may not be opened.
pub(super) fn root() -> io::Result<Root> {
    let text = fs::read("/proc/self/mountinfo")?;
    let (place, is_root) = mount(&text).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "no cgroup hierarchy of version 2 is mounted here")
    })?;
    let initial = fs::metadata("/proc/self/ns/cgroup").is_ok_and(|file| file.ino() == INITIAL_NAMESPACE);
    Ok(Root { directory: File::open(place)?, whole: is_root && initial })
}

/// The mount point of `cgroup2`, and whether its root is mounted there. Mounts of the root go first. Format:
/// proc_pid_mountinfo(5).
fn mount(mountinfo: &[u8]) -> Option<(PathBuf, bool)> {
    let mounts = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, place) = (fields.nth(3)?, fields.next()?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        (kind == b"cgroup2").then(|| (mountinfo::path(place), root == b"/"))
    });
    mounts.max_by_key(|(_, is_root)| *is_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"\
31 20 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n\
32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
33 31 0:28 / /sys/fs/cgroup/cpu rw,nosuid shared:10 - cgroup cgroup rw,cpu\n";

    #[test]
    fn the_second_version_beside_the_first() {
        assert_eq!(mount(HYBRID), Some(("/sys/fs/cgroup/unified".into(), true)));
    }

    #[test]
    fn a_part_of_it_only_where_there_is_no_more() {
        let part = b"40 31 0:27 /docker/abc /a\\040place rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mount(part), Some(("/a place".into(), false)));
        assert_eq!(mount(&[HYBRID, part].concat()).map(|(_, is_root)| is_root), Some(true));
    }

    #[test]
    fn odd_lines_are_passed_over() {
        for odd in [&b""[..], b"\n", b"1 2 3", b"1 2 3 / /x -", b"31 20 0:26 / /x rw - tmpfs cgroup2 rw"] {
            assert_eq!(mount(odd), None);
        }
    }
}
