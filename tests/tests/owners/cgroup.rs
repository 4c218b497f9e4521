//! Processes in cgroups like those of systemd and of container runtimes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use tcptrace_tests::{
    host,
    machine::{is_root, skip},
    net::Family,
    netns::Namespace,
    slot::Slot,
};

use crate::{actor::Actor, report::reports};

/// A container id like those of `docker`.
const ID: &str = "7c0ffee07c0ffee07c0ffee07c0ffee07c0ffee07c0ffee07c0ffee07c0ffee0";

/// A cgroup with a process. The drop removes it, after the process.
struct Cgroup {
    parent: PathBuf,
    child: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup below the root of a hierarchy, in a slice of this test.
    fn make(root: &Path, slot: u16, name: &str) -> io::Result<Self> {
        let parent = root.join(format!("tcptrace_test_{slot}.slice"));
        let this = Self { child: parent.join(name), parent };
        fs::create_dir_all(&this.child)?;
        Ok(this)
    }

    fn enter(&self, pid: u32) -> io::Result<()> {
        fs::write(self.child.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel releases a process a moment after its end.
        for _ in 0..100 {
            if fs::remove_dir(&self.child).is_ok() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        let _ = fs::remove_dir(&self.parent);
    }
}

/// The mount point of a hierarchy: `cgroup2`, or systemd's own in version 1.
fn hierarchy(kind: &str, option: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let fits = fields.get(2) == Some(&kind) && fields.get(3)?.split(',').any(|one| one == option);
        fits.then(|| PathBuf::from(fields[1]))
    })
}

/// Puts a process with a listener into a cgroup of this name, and returns its owner according to both sources.
fn owners_in(test: &str, (kind, option): (&str, &str), name: &str) -> Option<[serde_json::Value; 2]> {
    if !is_root(test) {
        return None;
    }
    let Some(root) = hierarchy(kind, option) else {
        skip(test, "no such hierarchy of cgroups is mounted");
        return None;
    };
    let _host = host::share();
    let slot = Slot::take();
    let cgroup = match Cgroup::make(&root, slot.number(), name) {
        Ok(cgroup) => cgroup,
        Err(error) => {
            skip(test, &format!("no cgroup can be made: {error}"));
            return None;
        }
    };
    let namespace = Namespace::new(&slot.ephemeral());
    let (netns, address) = (namespace.inode(), Family::V4.listen(slot.port(0)));
    Some(namespace.run(move || {
        let (actor, _) = Actor::acting(&["listen", &address.to_string()]);
        cgroup.enter(actor.pid()).unwrap_or_else(|error| panic!("{}: {error}", cgroup.child.display()));
        let owners = reports(netns).map(|report| {
            let [owner] = report.owners(address, "LISTEN") else { panic!("one owner") };
            owner.clone()
        });
        // The process must be dropped before the cgroup.
        drop((actor, cgroup));
        owners
    }))
}

/// The hierarchy of version 2.
const V2: (&str, &str) = ("cgroup2", "rw");
/// systemd's own hierarchy, where version 1 is in use.
const V1: (&str, &str) = ("cgroup", "name=systemd");

#[test]
fn a_container() {
    for owner in owners_in("a_container", V2, &format!("docker-{ID}.scope")).into_iter().flatten() {
        assert_eq!(
            (&owner["container"]["runtime"], &owner["container"]["id"]),
            (&"docker".into(), &ID.into())
        );
        assert!(owner["container"]["pod_uid"].is_null() && owner["unit"].is_null(), "{owner}");
    }
}

#[test]
fn a_container_in_the_first_version() {
    let test = "a_container_in_the_first_version";
    for owner in owners_in(test, V1, &format!("libpod-{ID}.scope")).into_iter().flatten() {
        assert_eq!(
            (&owner["container"]["runtime"], &owner["container"]["id"]),
            (&"podman".into(), &ID.into())
        );
    }
}

#[test]
fn a_unit() {
    for owner in owners_in("a_unit", V2, "tcptrace-test.service").into_iter().flatten() {
        assert_eq!(owner["unit"], "tcptrace-test.service", "{owner}");
        assert!(owner["container"].is_null(), "{owner}");
    }
}

/// A name that would colour the terminal, in the output that shows it in full.
#[test]
fn a_unit_with_a_hostile_name() {
    let name = "\u{1b}[31mtcptrace\u{7}.service";
    for owner in owners_in("a_unit_with_a_hostile_name", V2, name).into_iter().flatten() {
        assert_eq!(owner["unit"], r"\x1b[31mtcptrace\x07.service", "{owner}");
    }
}
