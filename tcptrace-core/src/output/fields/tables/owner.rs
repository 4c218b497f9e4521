//! Processes: the owner of a socket, the identity of a process, and the context of a transition.

use crate::{
    model::{
        event::Context,
        owner::{Owner, Provenance},
        process::{Container, Process, Runtime},
    },
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{Array, Comm, Flat, Name, Object, Shown},
    },
};

fields! { "owner", impl[] for Owner, |owner|, "", {
    "pid": u32 [csv 0] = owner.pid, "Process id in the initial PID namespace.";
    "comm": Option<Comm<'_>> [csv 0] = owner.name().map(Comm),
        "Name of the process, which is that of its main thread; null where only another of its threads was seen, and the \
         process ended before it was read.";
    "uid": u32 [csv 0] = owner.uid, "Real user id in the initial user namespace.";
    "provenance": Provenance [csv 0] = owner.provenance,
        "exact: the process acted on this socket itself. inherited: it opened the listener that the socket came from; who \
         accepted it is not known yet. snapshot: it had the socket open at the last scan of the host.";
    "process": Flat<Identity<'_>> [csv 0 ""] = Flat(Identity(owner.process.as_deref())), "";
    "others": Array<std::iter::Copied<std::slice::Iter<'_, u32>>> [csv 2] =
        Array(owner.others.as_deref().unwrap_or_default().iter().copied()),
        "Other processes that had the socket open at the last scan of the host.";
} }

/// A process; empty where it ended before it was read.
pub(in crate::output) struct Identity<'a>(pub(in crate::output) Option<&'a Process>);

fields! { "process", impl['a] for Identity<'a>, |identity|, "", {
    "exe": Option<Name<'a>> [csv 2] = identity.0.and_then(|process| process.exe.as_deref()).map(Name),
        "Path of its program, escaped as comm is; null when the process ended before it was read.";
    "exe_deleted": Option<bool> =
        identity.0.filter(|process| process.exe.is_some()).map(|process| process.exe_deleted),
        "The program's file is gone from that path: deleted, or replaced by an update; null as for exe.";
    "unit": Option<Name<'a>> [csv 2] =
        identity.0.and_then(|process| process.unit.as_deref()).map(|unit| Name(unit.as_bytes())),
        "Its systemd unit; null when it has none, or as for exe.";
    "container": Option<Home<'a>> [csv 2] = identity.0.and_then(|process| process.container.as_ref()).map(Home),
        "The container that it runs in; null when it runs in none, or as for exe.";
} }

/// A container: in CSV by its runtime and its name.
pub(in crate::output) struct Home<'a>(&'a Container);

impl Value for Home<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Object(self.0).json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        Name(format!("{}:{}", self.0.runtime, self.0.id).as_bytes()).text(out);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        Object::<Container>::schema(definitions)
    }
}

fields! { "container", impl[] for Container, |container|, "", {
    "runtime": Shown<Runtime> = Shown(container.runtime),
        "docker, containerd, cri-o, podman, lxc, nspawn; container when its cgroup does not show which.";
    "id": Name<'_> = Name(container.id.as_bytes()), "The runtime's own name for it.";
    "pod_uid": Option<Name<'_>> = container.pod_uid.as_deref().map(|uid| Name(uid.as_bytes())),
        "Kubernetes' uid of its pod; null when it is part of none.";
} }

fields! { "context", impl[] for Context, |context|,
    "What ran on the CPU at the transition. In softirq context it can be any task and says nothing about the socket.", {
    "pid": u32 [csv 0] = context.pid, "Process id in the initial PID namespace; 0 when the CPU was idle.";
    "tid": u32 [csv 0] = context.tid, "Thread id in the initial PID namespace.";
    "comm": Comm<'_> [csv 0] = Comm(&context.comm), "";
    "uid": u32 [csv 0] = context.uid, "Real user id in the initial user namespace.";
    "cgroup_id": u64 [csv 0] = context.cgroup_id, "cgroup v2 id of the task.";
    "in_process": Option<bool> [csv 0] = context.in_process,
        "true: a process held the socket's lock, so the task acted on this socket. false: softirq. null: the kernel's type \
         information did not show it.";
} }
