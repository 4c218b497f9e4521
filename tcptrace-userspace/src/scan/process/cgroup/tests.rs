//! Paths as hosts have them.

use proptest::prelude::*;

use super::*;

const ID: &str = "8d1b3c5e7f90214365870a9bcbdcedfe0123456789abcdef0123456789abcdef";
const OTHER: &str = "ffffffffffffffffffffffffffffffff00000000000000000000000000000000";
const UID: &str = "5e8a2c1f-0b7d-4f6e-9a3c-2d1b0e9f8a7c";
const UNDERSCORES: &str = "5e8a2c1f_0b7d_4f6e_9a3c_2d1b0e9f8a7c";
/// The uid of a pod that the kubelet reads from a file.
const STATIC: &str = "0b7d4f6e9a3c2d1b0e9f8a7c5e8a2c1f";

/// A text of `/proc/PID/cgroup` with `{}` where it has [`ID`], its unit, and runtime and pod of its container.
type Case<'a> = (&'a str, Option<&'a str>, Option<(Runtime, Option<&'a str>)>);

fn assert_all(cases: &[Case<'_>]) {
    for (text, unit, container) in cases {
        let (found_unit, found) = identify(&text.replace("{}", ID).replace("UNDERSCORES", UNDERSCORES));
        assert_eq!(found_unit.as_deref(), *unit, "the unit of {text}");
        let shown = found.as_ref().map(|found| (found.runtime, found.pod_uid.as_deref()));
        assert_eq!(shown, *container, "the container of {text}");
        if let Some(found) = found.filter(|_| text.contains("{}")) {
            assert_eq!(found.id, ID, "the id in {text}");
        }
    }
}

#[test]
fn units() {
    assert_all(&[
        ("0::/system.slice/nginx.service", Some("nginx.service"), None),
        (
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service",
            Some("postgresql@15-main.service"),
            None,
        ),
        ("0::/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope"), None),
        ("0::/init.scope", Some("init.scope"), None),
        ("0::/system.slice/ssh.service (deleted)", Some("ssh.service"), None),
        ("0::/system.slice/_cpu.service", Some("cpu.service"), None),
        ("0::/", None, None),
        ("0::/system.slice", None, None),
        // A user's manager, and a unit that it started.
        (
            "0::/user.slice/user-1000.slice/user@1000.service/init.scope",
            Some("user@1000.service/init.scope"),
            None,
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope",
            Some("user@1000.service/app-gnome-firefox-4711.scope"),
            None,
        ),
        // Cgroups that a service makes below its own are not units of the system.
        ("0::/system.slice/own.service/sshd.service", Some("own.service"), None),
        // Helpers of containers are not in them.
        ("0::/machine.slice/libpod-conmon-{}.scope", Some(&format!("libpod-conmon-{ID}.scope")), None),
        ("0::/system.slice/crio-conmon-{}.scope", Some(&format!("crio-conmon-{ID}.scope")), None),
        ("0::/system.slice/containerd.service", Some("containerd.service"), None),
        ("0::/lxc.monitor.web", None, None),
        // A virtual machine is no container.
        (
            r"0::/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator",
            Some(r"machine-qemu\x2d1\x2dweb.scope"),
            None,
        ),
    ]);
}

#[test]
fn containers_without_kubernetes() {
    let docker = Some((Runtime::Docker, None));
    let podman = Some((Runtime::Podman, None));
    assert_all(&[
        ("0::/system.slice/docker-{}.scope", None, docker),
        ("0::/docker/{}", None, docker),
        ("0::/docker/{}/init.scope", None, docker),
        ("0::/../../docker-{}.scope", None, docker),
        ("0::/system.slice/docker-{}.scope/system.slice/nginx.service", None, docker),
        ("0::/system.slice/nerdctl-{}.scope", None, Some((Runtime::Containerd, None))),
        ("0::/k8s.io/{}", None, Some((Runtime::Containerd, None))),
        ("0::/machine.slice/libpod-{}.scope/container", None, podman),
        ("0::/libpod_parent/libpod-{}", None, podman),
        ("0::/system.slice/web.service/libpod-payload-{}", Some("web.service"), podman),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{}.scope/container",
            Some("user@1000.service"),
            podman,
        ),
        ("0::/a-parent-of-its-own/{}", None, Some((Runtime::Unknown, None))),
    ]);
}

#[test]
fn pods() {
    let pod = |runtime| Some((runtime, Some(UID)));
    assert_all(&[
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORES.slice/cri-containerd-{}.scope",
            None,
            pod(Runtime::Containerd),
        ),
        (
            "0::/kubepods.slice/kubepods-podUNDERSCORES.slice/crio-{}.scope/container",
            None,
            pod(Runtime::CriO),
        ),
        (
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDERSCORES.slice/docker-{}.scope",
            None,
            pod(Runtime::Docker),
        ),
        (&format!("0::/kubepods/burstable/pod{UID}/{{}}"), None, pod(Runtime::Unknown)),
        (&format!("0::/kubepods/pod{UID}/crio-{{}}"), None, pod(Runtime::CriO)),
        (&format!("0::/kubepods/besteffort/pod{STATIC}/{{}}"), None, Some((Runtime::Unknown, Some(STATIC)))),
        (
            "0::/system.slice/containerd.service/kubepods-besteffort-podUNDERSCORES.slice:cri-containerd:{}",
            Some("containerd.service"),
            pod(Runtime::Containerd),
        ),
        // A node that is a container itself: the pod is that of the inner container.
        (
            &format!(
                "0::/system.slice/docker-{OTHER}.scope/kubelet.slice/kubelet-kubepods.slice/\
                 kubelet-kubepods-podUNDERSCORES.slice/cri-containerd-{{}}.scope"
            ),
            None,
            pod(Runtime::Containerd),
        ),
        // The kubelet itself.
        ("0::/system.slice/kubelet.service", Some("kubelet.service"), None),
    ]);
}

#[test]
fn containers_with_names() {
    for (text, runtime, id, unit) in [
        ("0::/lxc.payload.web/system.slice/nginx.service", Runtime::Lxc, "web", None),
        ("0::/lxc/101/ns", Runtime::Lxc, "101", None),
        (r"0::/machine.slice/machine-lxc\x2d4711\x2dweb.scope", Runtime::Lxc, r"4711-web", None),
        (r"0::/machine.slice/machine-a\x2dtree.scope/payload/init.scope", Runtime::Nspawn, "a-tree", None),
        (
            "0::/machine.slice/systemd-nspawn@tree.service/payload",
            Runtime::Nspawn,
            "tree",
            Some("systemd-nspawn@tree.service"),
        ),
    ] {
        let container = Container { runtime, id: id.to_owned(), pod_uid: None };
        assert_eq!(identify(text), (unit.map(str::to_owned), Some(container)), "{text}");
    }
    let outside = "0::/machine.slice/systemd-nspawn@tree.service/supervisor";
    assert_eq!(identify(outside), (Some("systemd-nspawn@tree.service".to_owned()), None));
}

/// Several hierarchies: systemd's shows the unit, any of them may show the container.
#[test]
fn version_1_and_hybrid() {
    assert_all(&[
        (
            "12:pids:/docker/{}\n11:memory:/docker/{}\n1:name=systemd:/docker/{}\n0::/system.slice/containerd.service\n",
            Some("containerd.service"),
            Some((Runtime::Docker, None)),
        ),
        (
            "4:pids:/system.slice/ssh.service\n1:name=systemd:/user.slice/user-0.slice/session-1.scope\n",
            Some("session-1.scope"),
            None,
        ),
        ("9:name=systemd:/\n4:memory:/api/776834222e051d92065bcde5364fbd4e\n0::/\n", None, None),
        ("2:cpu,cpuacct:/system.slice/cron.service\n", Some("cron.service"), None),
        ("5:name=dsystemd:/\n3:memory:/lxc/web\n", None, Some((Runtime::Lxc, None))),
    ]);
}

#[test]
fn what_only_looks_like_one() {
    let short = &ID[..63];
    for path in [
        format!("docker-{short}.scope"),
        format!("docker-{}.scope", ID.to_uppercase()),
        format!("xdocker-{ID}"),
        format!("docker/{ID}0"),
        "lxc/".to_owned(),
        "lxc.payload.".to_owned(),
        "machine-.scope".to_owned(),
        "podman/pod".to_owned(),
    ] {
        assert_eq!(identify(&format!("0::/{path}")).1, None, "{path}");
    }
    for uid in [&UID[..35], "../../../../../../../../../../etc/x", "g1111111111111111111111111111111"] {
        let (_, container) = identify(&format!("0::/kubepods/pod{uid}/{ID}"));
        assert_eq!(container.and_then(|container| container.pod_uid), None, "{uid}");
    }
}

proptest! {
    /// No path does any harm, and every id that is found is valid.
    #[test]
    fn hostile_paths(text in "(([0-9]{0,2}):(|name=systemd|pids)?:)?(/?(docker|kubepods|pod|lxc|\\.\\.|machine-|libpod-|crio-|:|user@|[a-f0-9]{64}|\\PC{0,9})(\\.scope|\\.slice|\\.service|/)?){0,9}\n?") {
        if let (_, Some(container)) = identify(&text) {
            prop_assert!(!container.id.is_empty() && !container.id.contains('/'));
            let by_name = matches!(container.runtime, Runtime::Lxc | Runtime::Nspawn);
            prop_assert!(by_name || is_id(&container.id), "{:?}", container);
        }
    }
}
