//! Sockets as the kernel reports them.

use std::net::IpAddr;

use super::{Bytes, Malformed, Wire, choice, put, record};
use crate::model::{
    close::Role,
    dump::{Gaps, Namespace, Obstacle, Unseen},
    errno::Errno,
    event::Device,
    flow::{Endpoint, Flow, LocalEnd},
    owner::{Owner, Provenance},
    scan::OnDevice,
    socket::{Info, Kind, Socket, Timer, TimerKind},
    socket_dump::{Preexisting, PreexistingTimewait, Scope, Since, SocketDump},
    state::State,
};

record!(SocketDump {
    0 scope,
    1 preexisting,
    2 timewait,
    3 namespaces,
    4 gaps,
    5 unreadable,
    6 took,
    7 holders_ns,
});

choice!(Scope { 0 b"All" All, 1 b"Small" Timewait });

record!(Preexisting {
    0 cookie,
    1 flow,
    2 state,
    3 since,
    4 dumped_ns,
    5 role,
    6 owner,
    7 on_device,
});

record!(PreexistingTimewait { 0 cookie, 1 flow, 2 state, 3 since_ns, 4 dumped_ns, 5 device });

choice!(Since { 0 b"Exactly" Exactly(ns), 1 b"AtLatest" AtLatest(ns) });

record!(Flow {
    0 netns,
    1 local.address,
    2 local.port,
    3 remote.address,
    4 remote.port,
    ..Self { netns: None, local: LocalEnd::absent().end, remote: LocalEnd::absent().end }
});

/// A structure that is an array of all its parts, as the key of a map is.
macro_rules! key {
    ($type:ident($($part:ty),*): $tuple:expr; |$parts:pat_param| $new:expr) => {
        impl Wire for $type {
            fn absent() -> Self {
                let $parts: ($($part),*) = Wire::absent();
                $new
            }

            fn write(&self, out: &mut Vec<u8>) {
                let tuple: fn(&Self) -> ($($part),*) = $tuple;
                tuple(self).write(out);
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                let $parts: ($($part),*) = Wire::read(input)?;
                Ok($new)
            }

            #[cfg(test)]
            fn some(chance: &mut super::tests::Chance) -> Self {
                let $parts: ($($part),*) = Wire::some(chance);
                $new
            }
        }
    };
}

key!(LocalEnd(Option<u32>, IpAddr, u16):
    |local| (local.netns, local.end.address, local.end.port);
    |(netns, address, port)| LocalEnd { netns, end: Endpoint { address, port } });

key!(OnDevice(Option<u32>, IpAddr, u16, u32):
|on| (on.local.netns, on.local.end.address, on.local.end.port, on.ifindex);
|(netns, address, port, ifindex)| OnDevice {
    local: LocalEnd { netns, end: Endpoint { address, port } },
    ifindex,
});

choice!(Role { 0 b"Client" Client, 1 b"Server" Server, 2 b"Listener" Listener });

record!(Device { 0 ifindex, 1 name });

record!(Owner { 0 pid, 1 uid, 2 comm, 3 provenance, 4 others, 5 process });

choice!(Provenance { 0 b"Exact" Exact, 1 b"Inherited" Inherited, 2 b"Snapshot" Snapshot });

/// The kernel's number.
impl Wire for State {
    fn absent() -> Self {
        Self(0)
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        Wire::read(input).map(Self)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        Self(chance.byte())
    }
}

record!(Namespace { 0 inode, 1 begin_ns, 2 end_ns, 3 most_timewait });

record!(Gaps { 0 namespaces, 1 unreadable_processes, 2 interrupted_dumps, 3 undecodable });

record!(Unseen { 0 netns, 1 obstacle });

choice!(Obstacle {
    0 b"Open" Open(errno),
    1 b"Enter" Enter(errno),
    2 b"Dump" Dump(errno),
    3 b"Thread" Thread(errno),
});

/// The kernel's number.
impl Wire for Errno {
    fn absent() -> Self {
        Self(0)
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::int(out, self.0.into());
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        i32::try_from(input.int()?).map(Self).map_err(|_| Malformed::RANGE)
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        Self(i32::from_be_bytes(Wire::some(chance)))
    }
}

record!(Socket {
    0 flow.netns,
    1 cookie,
    2 kind,
    3 state,
    4 flow.local.address,
    5 flow.local.port,
    6 flow.remote.address,
    7 flow.remote.port,
    8 uid,
    9 inode,
    10 recv_queue,
    11 send_queue,
    12 timer,
    13 cgroup_id,
    14 mptcp,
    15 drops,
    16 info,
    17 age_at_least_ns,
    18 ifindex,
    19 device,
    20 transparent,
    ..Self::new(State::absent(), Flow::absent())
});

choice!(Kind { 0 b"Full" Full, 1 b"Request" Request, 2 b"TimeWait" TimeWait });

record!(Timer { 0 kind, 1 expires_ms, 2 retransmits });

choice!(TimerKind {
    0 b"On" On,
    1 b"Keepalive" Keepalive,
    2 b"TimeWait" TimeWait,
    3 b"Persist" Persist,
    4 b"Other" Other(number),
});

record!(Info {
    0 srtt_us,
    1 unacked,
    2 total_retrans,
    3 last_data_sent_ms,
    4 last_data_recv_ms,
    5 last_ack_recv_ms,
    6 bytes_acked,
    7 bytes_received,
    8 notsent_bytes,
    9 snd_wnd,
    10 bytes_sent,
    11 bytes_retrans,
});
