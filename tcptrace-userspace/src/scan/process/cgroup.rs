//! A process' systemd unit and container, by the path of its cgroup.
//!
//! Init, container runtimes and owners of delegated cgroups choose these paths. A path of another form leaves both
//! unknown. The search for a unit begins at the root, where only the system's manager makes cgroups. The container is
//! the innermost one: the one that a process in a container within a container is in.

use tcptrace_core::model::process::{Container, Runtime};

/// Unit and container in the text of `/proc/PID/cgroup`, which has a line for each hierarchy, `ID:CONTROLLERS:PATH`.
pub(super) fn identify(text: &str) -> (Option<String>, Option<Container>) {
    let mut paths: Vec<(u8, &str)> = text.lines().filter_map(hierarchy).collect();
    paths.sort_by_key(|(rank, _)| *rank);
    let container = paths.iter().find_map(|(_, path)| innermost(path));
    let unit = paths.iter().find_map(|(_, path)| unit(path));
    (unit, container)
}

/// Rank and path of a line. Version 2 goes first, then systemd's own hierarchy of version 1. The hierarchies of
/// controllers go last, since a process may be in another unit's cgroup there.
fn hierarchy(line: &str) -> Option<(u8, &str)> {
    let (id, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let rank = match (id, controllers) {
        ("0", "") => 0,
        (_, "name=systemd") => 1,
        _ => 2,
    };
    Some((rank, path.strip_suffix(" (deleted)").unwrap_or(path)))
}

/// The first component that is a service or a scope; for a user's manager also the unit inside of it. Slices do not
/// count, since they hold other units. Components from a container on do not count either: they belong to the
/// container, and a scope with the container's name adds nothing.
fn unit(path: &str) -> Option<String> {
    let is_unit = |name: &&str| matches!(name.rsplit_once('.'), Some((_, "service" | "scope")));
    let components: Vec<&str> = path.split('/').collect();
    let inside = |index: &usize| {
        let name = components[*index];
        named_by(&components[..*index], name).is_some() && !name.ends_with(".service")
    };
    let end = (0..components.len()).find(inside).unwrap_or(components.len());
    // systemd puts an underscore before names that could be files of the kernel.
    let mut names = components[..end].iter().map(|name| name.strip_prefix('_').unwrap_or(name));
    let outer = names.find(is_unit)?;
    let inner = names.find(is_unit).filter(|_| outer.starts_with("user@"));
    Some(inner.map_or_else(|| outer.to_owned(), |inner| format!("{outer}/{inner}")))
}

/// The container of the last component that names one.
fn innermost(path: &str) -> Option<Container> {
    let components: Vec<&str> = path.split('/').collect();
    let (index, (runtime, id)) = components.iter().enumerate().rev().find_map(|(index, name)| {
        // The part of systemd-nspawn that stays outside.
        let outside = components.get(index + 1) == Some(&"supervisor");
        named_by(&components[..index], name).filter(|_| !outside).map(|named| (index, named))
    })?;
    let pod_uid = components[..=index].iter().rev().find_map(|name| pod(name));
    Some(Container { runtime, id, pod_uid })
}

/// The container that a component names, by itself or with the components before it.
fn named_by(before: &[&str], name: &str) -> Option<(Runtime, String)> {
    container(name).or_else(|| bare(before, name))
}

/// Prefixes of ids, in scopes made through systemd and in cgroups made without it.
const PREFIXES: [(&str, Runtime); 6] = [
    ("docker-", Runtime::Docker),
    ("cri-containerd-", Runtime::Containerd),
    ("nerdctl-", Runtime::Containerd),
    ("crio-", Runtime::CriO),
    ("libpod-payload-", Runtime::Podman),
    ("libpod-", Runtime::Podman),
];

/// The container that a component names by itself. Helpers such as conmon, whose cgroups are called
/// `crio-conmon-ID.scope`, are outside of the container.
fn container(name: &str) -> Option<(Runtime, String)> {
    if let Some(name) = name.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
        return Some((Runtime::Lxc, name.to_owned()));
    }
    if let Some(machine) = name.strip_prefix("systemd-nspawn@").and_then(|name| name.strip_suffix(".service"))
    {
        return named(Runtime::Nspawn, machine);
    }
    let name = name.strip_suffix(".scope").unwrap_or(name);
    if let Some(machine) = name.strip_prefix("machine-") {
        // libvirt makes virtual machines, whose processes run on the host, and containers of LXC.
        return match machine.strip_prefix(r"lxc\x2d") {
            Some(lxc) => named(Runtime::Lxc, lxc),
            None if machine.starts_with(r"qemu\x2d") => None,
            None => named(Runtime::Nspawn, machine),
        };
    }
    // `kubepods-podUID.slice:cri-containerd:ID`, where the runtime is set up for systemd and runc is not.
    let colon = name.rsplit_once(':').and_then(|(rest, id)| Some((rest.rsplit_once(':')?.1, id)));
    let (runtime, id) = PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = match colon {
            Some((owner, id)) if Some(owner) == prefix.strip_suffix('-') => id,
            _ => name.strip_prefix(prefix)?,
        };
        Some((*runtime, id))
    })?;
    is_id(id).then(|| (runtime, id.to_owned()))
}

/// The container whose bare id or name is this component. The component before it shows the runtime.
fn bare(before: &[&str], name: &str) -> Option<(Runtime, String)> {
    let runtime = match before.last() {
        Some(&"lxc") if !name.is_empty() => return Some((Runtime::Lxc, name.to_owned())),
        Some(&"docker") => Runtime::Docker,
        Some(&"k8s.io") => Runtime::Containerd,
        _ => Runtime::Unknown,
    };
    is_id(name).then(|| (runtime, name.to_owned()))
}

/// A container with a name of its own, as systemd escapes it.
fn named(runtime: Runtime, escaped: &str) -> Option<(Runtime, String)> {
    let name = escaped.replace(r"\x2d", "-");
    (!name.is_empty()).then_some((runtime, name))
}

/// Container ids are SHA-256 sums, or random numbers of that length.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The pod's uid in `podUID`, or in `kubepods-burstable-podUID.slice`, where systemd requires underscores instead of
/// dashes. The uid has 36 characters, or 32 for pods that the node itself defines.
fn pod(name: &str) -> Option<String> {
    let name = name.split(':').next()?;
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.contains("kubepods").then(|| slice.rsplit_once("-pod"))??.1,
        None => name.strip_prefix("pod")?,
    };
    let valid = matches!(uid.len(), 32 | 36)
        && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_'));
    valid.then(|| uid.replace('_', "-"))
}

#[cfg(test)]
mod tests;
