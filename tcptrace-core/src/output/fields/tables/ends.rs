//! The socket of a transition.

use std::net::IpAddr;

use crate::{
    model::event::{Device, Event},
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::{Absent, Value},
        values::{Family, Name},
    },
};

fields! { "ends", impl['a] for &'a Event, |event|, "", {
    "cookie": u64 [csv 0] = event.cookie,
        "The kernel's socket cookie: the same for all transitions of a socket, unique until reboot. 0 where the kernel has none \
         for this socket.";
    "netns": Option<u32> [csv 0] = event.flow.netns,
        "Inode number of the socket's network namespace, as `lsns -t net` shows it; null when unknown.";
    "family": Family<'_> [csv 0] = Family(&event.flow), "IP version that the connection talks.";
    "laddr": IpAddr [csv 0] = event.flow.local.address, "Local address.";
    "lport": u16 [csv 0] = event.flow.local.port,
        "Local port. 0 at CLOSE -> SYN_SENT of a socket that was not bound: the kernel chooses the port afterwards.";
    "raddr": IpAddr [csv 0] = event.flow.remote.address, "Remote address; 0.0.0.0 or :: for a listener.";
    "rport": u16 [csv 0] = event.flow.remote.port, "Remote port; 0 for a listener.";
    "ifindex": Absent<Ifindex> [csv 4] = Absent(event.device.as_ref().map(|device| Ifindex(device.ifindex))),
        "Index of the network device that the socket is bound to, by its program, by a VRF or by a link-local address, in the \
         socket's network namespace; absent without one, and where the kernel's layout does not show it. Connections with the \
         same ends on two devices are two.";
    "device": Absent<Option<Name<'_>>> [csv 4] = Absent(event.device.as_ref().map(name)),
        "The name of that device; null when it is not known, as in another network namespace than that of tcptrace. Present \
         with ifindex.";
} }

fn name(device: &Device) -> Option<Name<'_>> {
    device.name.as_deref().map(|name| Name(name.as_bytes()))
}

/// Index of a network device.
pub(in crate::output) struct Ifindex(u32);

impl Value for Ifindex {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        self.0.json(out);
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        self.0.text(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::integer(1, u32::MAX.into())
    }
}
