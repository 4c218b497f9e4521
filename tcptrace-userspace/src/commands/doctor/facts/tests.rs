//! Facts from recorded trees of files.

use std::fs;

use super::*;
use crate::bpf::Feature;

/// A tree with these files, which the test removes at its end.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn gather(files: &[(&str, &str)]) -> Facts {
    Facts::gather(tree(files).path())
}

const STATUS: &str = "Name:\ttcptrace\nCapPrm:\t000000c000000000\nCapEff:\t000000c000000000\n";
const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max processes             95706                95706                processes 
Max locked memory         65536                65536                bytes     
Max file locks            unlimited            unlimited            locks     
";

#[test]
fn an_empty_tree_tells_nothing() {
    let facts = gather(&[]);
    assert!(facts.release.is_none() && facts.capabilities.is_none() && facts.memlock.is_none());
    assert!(facts.jit.is_none() && facts.jit_always_on.is_none() && facts.unprivileged_bpf.is_none());
    assert!(facts.lockdown.is_none() && facts.cgroup.is_none());
    assert_eq!(facts.tracefs, Tracefs::Unknown);
    assert!(matches!(facts.btf, BtfState::Missing(_)));
    assert!(facts.others.incomplete);
}

/// The files as a service with the two capabilities reads them on a Debian 11 host.
#[test]
fn a_recorded_host() {
    let facts = gather(&[
        ("proc/sys/kernel/osrelease", "5.10.0-33-amd64\n"),
        ("proc/self/status", STATUS),
        ("proc/self/limits", LIMITS),
        ("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev 0 0\n"),
        ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
        ("boot/config-5.10.0-33-amd64", "CONFIG_BPF=y\n# CONFIG_BPF_JIT_ALWAYS_ON is not set\n"),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        ("proc/filesystems", "nodev\tsysfs\nnodev\ttracefs\n\text4\n"),
    ]);
    assert_eq!(facts.release.as_deref(), Some("5.10.0-33-amd64"));
    assert!(facts.capabilities.unwrap().may_trace());
    assert_eq!(facts.memlock, Some(Memlock::Limit(65_536)));
    assert_eq!(facts.cgroup, Some(Cgroup::V2));
    assert_eq!((facts.jit, facts.jit_always_on, facts.unprivileged_bpf), (None, Some(false), Some(2)));
    assert_eq!(facts.lockdown.as_deref(), Some("integrity"));
    assert_eq!(facts.tracefs, Tracefs::NotMounted);
}

#[test]
fn what_is_garbled_is_not_known() {
    let facts = gather(&[
        ("proc/self/status", "CapEff:\tall\n"),
        ("proc/self/limits", "Max locked memory         much\n"),
        ("proc/sys/net/core/bpf_jit_enable", "yes\n"),
        ("sys/kernel/security/lockdown", "none integrity\n"),
        ("sys/kernel/btf/vmlinux", "not BTF"),
    ]);
    assert!(facts.capabilities.is_none() && facts.memlock.is_none() && facts.jit.is_none());
    assert!(facts.lockdown.is_none());
    assert!(matches!(facts.btf, BtfState::Unusable(why) if why.contains("damaged")));
}

#[test]
fn tracefs_in_all_its_states() {
    const EVENT: &str = "events/sock/inet_sock_set_state/format";
    let format = |place: &str| format!("{place}/{EVENT}");
    let (new, old) = (format("sys/kernel/tracing"), format("sys/kernel/debug/tracing"));
    assert_eq!(gather(&[(&new, "")]).tracefs, Tracefs::Mounted("sys/kernel/tracing"));
    assert_eq!(gather(&[(&old, "")]).tracefs, Tracefs::Mounted("sys/kernel/debug/tracing"));
    let other = "sys/kernel/tracing/events/sched/enable";
    assert_eq!(gather(&[(other, "0")]).tracefs, Tracefs::NoEvent("sys/kernel/tracing"));
    assert_eq!(gather(&[("proc/filesystems", "nodev\tsysfs\n")]).tracefs, Tracefs::NotInKernel);
}

#[test]
fn the_running_kernels_type_information_is_usable() {
    let Ok(vmlinux) = fs::read("/sys/kernel/btf/vmlinux") else {
        println!("SKIPPED: this kernel has no BTF");
        return;
    };
    let BtfState::Usable { bytes, fields } = btf(Path::new("/")) else { panic!("it is not") };
    assert_eq!(bytes, vmlinux.len());
    assert!(fields.has(Feature::Netns) && !fields.has(Feature::CookieHelper), "helpers are not in BTF");
}

mod others {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process with one descriptor.
    fn process(root: &Path, pid: u32, comm: &str, target: &str, fdinfo: &str) {
        let process = root.join(format!("proc/{pid}"));
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::create_dir_all(process.join("fdinfo")).unwrap();
        fs::write(process.join("comm"), format!("{comm}\n")).unwrap();
        symlink(target, process.join("fd/7")).unwrap();
        fs::write(process.join("fdinfo/7"), fdinfo).unwrap();
    }

    /// The texts as Linux 6.18 shows them.
    const TP_BTF: &str = "pos:\t0\nlink_type:\traw_tracepoint\nlink_id:\t851\nprog_tag:\t57e4a42d51b7b940\n\
                          prog_id:\t4297\ntp_name:\tinet_sock_set_state\ncookie:\t0\n";
    const PROGRAM: &str = "pos:\t0\nprog_type:\t5\nprog_jited:\t1\nprog_id:\t4306\nrun_cnt:\t0\n";

    #[test]
    fn are_told_by_their_descriptors() {
        let event = "sys/kernel/tracing/events/sock/inet_sock_set_state";
        let instance = "sys/kernel/tracing/instances/mine/events/sock/inet_sock_set_state";
        let tree = tree(&[
            (&format!("{event}/format"), ""),
            (&format!("{event}/enable"), "0\n"),
            (&format!("{instance}/enable"), "1\n"),
            ("proc/version", "Linux"),
        ]);
        let root = tree.path();
        process(root, 9, "tcptrace", "anon_inode:bpf_link", TP_BTF);
        process(root, 10, "bpftrace", "anon_inode:bpf-prog", PROGRAM);
        process(
            root,
            11,
            "sched",
            "anon_inode:bpf_link",
            &TP_BTF.replace("inet_sock_set_state", "sched_switch"),
        );
        process(root, 12, "socket filter", "anon_inode:bpf-prog", &PROGRAM.replace("type:\t5", "type:\t1"));
        process(root, 13, "file", "/a/file", TP_BTF);
        let others = Others::find(root);
        assert_eq!(others.certain, ["tcptrace[9]"]);
        assert_eq!(others.possible, ["bpftrace[10]"]);
        assert_eq!(others.ftrace, ["tracefs instance mine"]);
        assert!(!others.incomplete);
    }

    /// A classic tracepoint is certain where its link names its event.
    #[test]
    fn a_link_tells_the_event_of_its_program() {
        let tree = tree(&[("proc/version", "Linux")]);
        let link = "link_type:\tperf\nprog_id:\t4306\ntp_name:\tsched_switch\nevent_type:\ttracepoint\n";
        process(tree.path(), 9, "x", "anon_inode:bpf_link", link);
        let process = tree.path().join("proc/9");
        symlink("anon_inode:bpf-prog", process.join("fd/8")).unwrap();
        fs::write(process.join("fdinfo/8"), PROGRAM).unwrap();
        let others = Others::find(tree.path());
        assert!(others.certain.is_empty() && others.possible.is_empty(), "{others:?}");
    }
}
