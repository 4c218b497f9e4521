//! Counts of sockets that share a key.

use std::{marker::PhantomData, net::IpAddr};

use crate::{
    model::{
        process::{Container, Runtime},
        scan::{By, Group, Key, Listening},
        state::State,
    },
    output::{
        fields::{
            columns::{Columns, Layout},
            line::Line as Row,
            schema::{Definitions, Schema},
            table::fields,
            value::{Absent, Value},
            values::{Kind, Name, Object, Quoted, Shown, StateCounts, Version, quote},
        },
        sockets::title,
    },
};

/// A group.
pub(in crate::output) struct Line<'a> {
    /// The key of the group.
    pub(in crate::output) by: By,
    /// The group.
    pub(in crate::output) group: &'a Group,
}

fields! { "sockets_group", impl['a] for Line<'a>, |line|, "With --by: how many sockets have something in common.", {
    "by": By [csv 1] = line.by, "";
    "key": Title<'a> [csv 1] = Title(&line.group.key),
        "What they have in common, as people read it; `-` when nothing is known.";
    "netns": Option<u32> [column 1] = line.group.listening().and_then(|listening| listening.local.netns), "";
    "parts": Option<Object<&'a Key>> = (line.group.key != Key::None).then_some(Object(&line.group.key)),
        "The same in its parts: state; pid and comm; netns, laddr, lport, ifindex and device; raddr; runtime, id and pod_uid, or \
         unit. Null when nothing is known.";
    "schema": Version = Version,
        "Version of this format. It rises when a consumer could stumble over a change; new fields do not raise it.";
    "states": Counts<'a> [csv 0 ""] = Counts(line.group),
        "How many sockets are in each state; those that none is in are left out.";
    "total": u64 [csv 2] = line.group.total, "Sockets.";
    "type": Kind<Self> [csv 0] = Kind(PhantomData), "";
} }

/// The key of a group, escaped for people. In CSV it is empty when nothing is known.
pub(in crate::output) struct Title<'a>(&'a Key);

impl Value for Title<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(&String::from_utf8_lossy(&title(self.0))).json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        if *self.0 != Key::None {
            let start = out.len();
            out.extend_from_slice(&title(self.0));
            quote(out, start);
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string")
    }
}

/// Sockets by state.
pub(in crate::output) struct Counts<'a>(&'a Group);

impl Counts<'_> {
    /// The states that have a column: all states with a name, except that of half-open connections.
    fn named() -> impl Iterator<Item = State> {
        (1..=11).map(State)
    }
}

impl Value for Counts<'_> {
    const COLUMNS: Option<Columns> = Some(Columns::named(
        &{
            let (mut names, mut index) = (["other"; 12], 0);
            while index < 11 {
                names[index] = tcptrace_common::STATE_NAMES[index + 1];
                index += 1;
            }
            names
        },
        3,
    ));

    fn json(&self, out: &mut Vec<u8>) {
        ByName::of(&self.0.states).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Row<'_>) {
        let mut other = self.0.total;
        for state in Self::named() {
            let count = self.0.count(state);
            other -= count;
            count.cells::<L, BLOCK>(line);
        }
        other.cells::<L, BLOCK>(line);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        ByName::schema(definitions)
    }
}

/// Counts by state, in the order of the states' names.
pub(in crate::output) struct ByName(Vec<(State, u64)>);

impl ByName {
    /// Sorts these counts.
    pub(super) fn of(states: &[(State, u64)]) -> Self {
        let mut states = states.to_vec();
        states.sort_by_cached_key(|(state, _)| state.to_string());
        Self(states)
    }
}

impl Value for ByName {
    fn json(&self, out: &mut Vec<u8>) {
        StateCounts(&self.0).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(definitions: &mut Definitions) -> Schema {
        StateCounts::schema(definitions)
    }
}

/// The container in a key, if it has one.
fn container(key: &Key) -> Option<&Container> {
    match key {
        Key::Container(container) => Some(container),
        _ => None,
    }
}

fn listening(key: &Key) -> Option<&Listening> {
    match key {
        Key::Listener(listening) => Some(listening),
        _ => None,
    }
}

fields! { "parts", impl[] for Key, |key|, "", {
    "comm": Absent<Option<Name<'_>>> = Absent(match key {
        Self::Process(_, comm) => Some(comm.as_deref().map(Name)),
        _ => None,
    }), "Name of the process; null when it is not known.";
    "device": Absent<Option<Name<'_>>> = Absent(listening(key).map(|place| {
        place.device.as_deref().map(|name| Name(name.as_bytes()))
    })), "The name of the network device that the listener is bound to.";
    "id": Absent<Name<'_>> = Absent(container(key).map(|container| Name(container.id.as_bytes()))),
        "The runtime's own name for the container.";
    "ifindex": Absent<Option<u32>> = Absent(listening(key).map(|place| place.ifindex)),
        "Index of the network device that the listener is bound to.";
    "laddr": Absent<IpAddr> = Absent(listening(key).map(|place| place.local.end.address)), "Address of the listener.";
    "lport": Absent<u16> = Absent(listening(key).map(|place| place.local.end.port)), "Port of the listener.";
    "netns": Absent<Option<u32>> = Absent(listening(key).map(|place| place.local.netns)),
        "Inode number of the listener's network namespace; null when /proc does not show it.";
    "pid": Absent<u32> = Absent(match key {
        Self::Process(pid, _) => Some(*pid),
        _ => None,
    }), "Process id, as /proc shows it here.";
    "pod_uid": Absent<Option<Name<'_>>> = Absent(container(key).map(|container| {
        container.pod_uid.as_deref().map(|uid| Name(uid.as_bytes()))
    })), "Kubernetes' uid of the container's pod; null when it is part of none.";
    "raddr": Absent<IpAddr> = Absent(match key {
        Self::Peer(address) => Some(*address),
        _ => None,
    }), "Remote address.";
    "runtime": Absent<Shown<Runtime>> = Absent(container(key).map(|container| Shown(container.runtime))),
        "docker, containerd, cri-o, podman, lxc, nspawn; container when its cgroup does not show which.";
    "state": Absent<State> = Absent(match key {
        Self::State(state) => Some(*state),
        _ => None,
    }), "";
    "unit": Absent<Name<'_>> = Absent(match key {
        Self::Unit(unit) => Some(Name(unit.as_bytes())),
        _ => None,
    }), "systemd's unit.";
} }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_escaped_once() {
        let key = Key::Unit(r#"a\b "c", d"#.into());
        let (mut csv, mut json) = (Vec::new(), Vec::new());
        Title(&key).text(&mut csv);
        Title(&key).json(&mut json);
        assert_eq!(String::from_utf8_lossy(&csv), r#""a\\b ""c"", d""#);
        assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), r#"a\\b "c", d"#);
    }
}
