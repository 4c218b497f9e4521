//! Replaces addresses and names by others, the same ones each time, so that a capture can be shown to strangers.
//!
//! Nothing is remembered. The replacement of a name or an address follows from it and from a key of 128 random bits, by
//! SipHash-2-4. Without the key, a stranger cannot try all addresses until one fits. The key is made for one recording, and
//! written nowhere. Ports, process and user ids, inode numbers and times stay.

use std::{
    hash::{Hash, Hasher as _},
    mem::offset_of,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use siphasher::sip::SipHasher24;
use tcptrace_common::{
    Address, ErrorRecord, HalfOpenRecord, KIND_ABORT, KIND_ERROR, KIND_HALF_OPEN, KIND_RESET,
    KIND_RETRANSMIT, KIND_TRANSITION, TransitionRecord,
};

use crate::{
    model::{
        event::BYSTANDERS,
        flow::Flow,
        header::Header,
        input::{Answer, Input},
        namespace::NamespaceSample,
        owner::Owner,
        process::{Container, Process},
        scan::SocketScan,
        socket_dump::SocketDump,
        text::until_nul,
    },
    pipeline::decode::records,
};

/// Replaces addresses and names by others.
pub struct Anonymizer {
    key: [u8; 16],
}

impl Anonymizer {
    /// `key`: random bits that no one else has, and that are kept nowhere.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    fn hash(&self, value: impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// A header that a stranger may see.
    pub fn header(&self, header: &Header) -> Header {
        // The part after the numbers shows who built the kernel.
        let end = header.kernel.find(|letter: char| letter != '.' && !letter.is_ascii_digit());
        let kernel = header.kernel[..end.unwrap_or(header.kernel.len())].to_owned();
        let filters = header.filters.iter().map(|filter| unnamed(filter)).collect();
        Header { host: self.word("host", header.host.as_bytes()), kernel, filters, ..header.clone() }
    }

    /// Passes on an input that a stranger may see.
    pub fn input<T>(&self, input: &Input<'_>, take: impl FnOnce(&Input<'_>) -> T) -> T {
        match input {
            Input::Entry(entry) => take(&Input::Entry(&self.entry(entry))),
            Input::Process(answer) => {
                let value = answer.value.as_ref().map(|process| self.process(process));
                take(&Input::Process(Answer { value, ..answer.clone() }))
            }
            Input::Device(answer) => {
                let value = answer.value.as_ref().map(|name| self.device(name).into());
                take(&Input::Device(Answer { value, ..answer.clone() }))
            }
            Input::FirstDump(dump) => take(&Input::FirstDump(self.dump(dump))),
            Input::Dumped { dump, is_first } => {
                take(&Input::Dumped { dump: self.dump(dump), is_first: *is_first })
            }
            Input::Polled(poll) => {
                let mut poll = poll.clone();
                for pending in &mut poll.pending {
                    let connection = &mut pending.connection;
                    self.flow(&mut connection.flow);
                }
                take(&Input::Polled(poll))
            }
            Input::Scanned(scan) => {
                let mut scan = scan.clone();
                if let Ok(scan) = &mut scan.sockets {
                    self.sockets(scan);
                }
                for (_, namespace) in &mut scan.namespaces {
                    self.namespace(namespace);
                }
                take(&Input::Scanned(scan))
            }
            // Numbers only, or nothing.
            Input::Released(_)
            | Input::Unknown
            | Input::Namespace(_)
            | Input::DumpBegins
            | Input::PollBegins
            | Input::Clock(_)
            | Input::Checked(_)
            | Input::Counted(_)
            | Input::Exited(_)
            | Input::Ended(_) => take(input),
        }
    }

    /// Records as the kernel side makes them. An unknown one may hold anything: only its kind stays, for the account.
    fn entry(&self, entry: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(entry.len());
        for record in records(entry) {
            let start = out.len();
            out.extend_from_slice(record);
            let record = &mut out[start..];
            let Some([a, b]) = record.first_chunk::<2>() else { continue };
            let places = match u16::from_ne_bytes([*a, *b]) {
                KIND_TRANSITION => {
                    if let Some(comm) = record.get_mut(offset_of!(TransitionRecord, comm)..)
                        && let Some(comm) = comm.first_chunk_mut::<16>()
                    {
                        *comm = self.comm(comm);
                    }
                    [offset_of!(TransitionRecord, laddr), offset_of!(TransitionRecord, raddr)]
                }
                KIND_ERROR => [offset_of!(ErrorRecord, laddr), offset_of!(ErrorRecord, raddr)],
                KIND_HALF_OPEN => [offset_of!(HalfOpenRecord, laddr), offset_of!(HalfOpenRecord, raddr)],
                KIND_RESET | KIND_RETRANSMIT | KIND_ABORT => continue,
                _ => {
                    out.truncate(start + size_of::<u16>());
                    continue;
                }
            };
            for place in places {
                if let Some(octets) = record
                    .get_mut(place..)
                    .and_then(|bytes| bytes.first_chunk_mut::<{ size_of::<Address>() }>())
                {
                    let address = Ipv6Addr::from(*octets);
                    *octets = match address.to_ipv4_mapped() {
                        Some(v4) => self.v4(v4).to_ipv6_mapped().octets(),
                        None => self.v6(address).octets(),
                    };
                }
            }
        }
        out
    }

    fn dump(&self, dump: &SocketDump) -> SocketDump {
        let mut dump = dump.clone();
        let SocketDump { preexisting, timewait, .. } = &mut dump;
        for preexisting in &mut *preexisting {
            preexisting.owner =
                preexisting.owner.take().map(|owner| self.owner(Arc::unwrap_or_clone(owner)).into());
        }
        for device in timewait.iter_mut().filter_map(|timewait| timewait.device.as_mut()) {
            device.name = device.name.as_ref().map(|name| self.device(name).into());
        }
        let timewait = timewait.iter_mut().map(|timewait| &mut timewait.flow);
        for flow in preexisting.iter_mut().map(|preexisting| &mut preexisting.flow).chain(timewait) {
            self.flow(flow);
        }
        dump
    }

    fn flow(&self, flow: &mut Flow) {
        for end in [&mut flow.local, &mut flow.remote] {
            end.address = self.address(end.address);
        }
    }

    fn sockets(&self, scan: &mut SocketScan) {
        for socket in &mut scan.sockets {
            self.flow(&mut socket.flow);
            socket.device = socket.device.as_ref().map(|name| self.device(name).into());
        }
        scan.owners.rename(|address| self.address(address), |process| self.process(process));
    }

    fn namespace(&self, namespace: &mut NamespaceSample) {
        namespace.name = namespace.name.take().map(|name| self.word("netns", name.as_bytes()));
        for local in &mut namespace.addresses {
            local.address = self.address(local.address);
            local.interface = self.device(&local.interface);
        }
    }

    /// The name of a network device. The name of the loopback device stays, since every host has it.
    fn device(&self, name: &str) -> String {
        if name == "lo" { name.to_owned() } else { self.word("if", name.as_bytes()) }
    }

    fn owner(&self, owner: Owner) -> Owner {
        let process = owner.process.as_ref().map(|process| self.process(process));
        Owner { comm: self.comm(&owner.comm), process, ..owner }
    }

    fn process(&self, process: &Arc<Process>) -> Arc<Process> {
        Arc::new(Process {
            comm: until_nul(&self.comm(&process.comm)).to_vec(),
            exe: process.exe.as_ref().map(|exe| self.word("/exe", exe).into_bytes()),
            unit: process.unit.as_ref().map(|unit| self.word("unit", unit.as_bytes())),
            container: process.container.as_ref().map(|container| Container {
                runtime: container.runtime,
                id: self.word("container", container.id.as_bytes()),
                pod_uid: container.pod_uid.as_ref().map(|pod| self.word("pod", pod.as_bytes())),
            }),
            ..process.as_ref().clone()
        })
    }

    /// A name in the kernel's form, NUL-padded. The bytes after the name are zero, so that they reveal nothing either.
    fn comm(&self, comm: &[u8]) -> [u8; 16] {
        let mut out = [0; 16];
        let name = until_nul(comm);
        if let Some(known) = BYSTANDERS.into_iter().find(|known| name.starts_with(known)) {
            out[..known.len()].copy_from_slice(known);
        } else if !name.is_empty() {
            let word = self.word("name", name);
            out[..word.len()].copy_from_slice(word.as_bytes());
        }
        out
    }

    /// `kind-1234abcd`.
    fn word(&self, kind: &str, name: &[u8]) -> String {
        format!("{kind}-{:08x}", self.hash((kind, name)) & 0xffff_ffff)
    }

    fn address(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => self.v4(v4).into(),
            IpAddr::V6(v6) => self.v6(v6).into(),
        }
    }

    /// Addresses that belong to nobody stay, and private addresses stay private: `10.0.0.0/8` becomes itself.
    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let bits = |address: Ipv4Addr, kept| {
            let scrambled = self.scramble(address.to_bits(), kept, u32::BITS);
            Ipv4Addr::from_bits(u32::try_from(scrambled).unwrap_or(u32::MAX))
        };
        match kept_bits(address) {
            None => address,
            // An address of another kind would mislead. Each address is the image of exactly one, so this walk ends.
            Some(0) => std::iter::successors(Some(address), |address| Some(bits(*address, 0)))
                .skip(1)
                .find(|address| kept_bits(*address) == Some(0))
                .unwrap_or(address),
            Some(kept) => bits(address, kept),
        }
    }

    /// Global addresses become others in `2000::/3`. Unique local addresses become others in the same half of `fc00::/7`.
    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        let kept = match address.segments() {
            [0x2000..=0x3fff, ..] => 3,
            [0xfc00..=0xfdff, ..] => 8,
            // `::`, `::1`, link-local, multicast, and those that are assigned to nobody.
            [0 | 0xfe80..=0xffff, ..] => return address,
            _ => 0,
        };
        Ipv6Addr::from_bits(self.scramble(address.to_bits(), kept, u128::BITS))
    }

    /// Keeps the first `kept` of `width` bits. The bits before each other bit decide whether that bit is flipped: so two
    /// addresses agree in as many bits afterwards as before, and subnets stay subnets.
    fn scramble(&self, bits: impl Into<u128>, kept: u32, width: u32) -> u128 {
        let bits = bits.into();
        (kept..width).fold(bits, |out, place| {
            let shift = width - 1 - place;
            let before = bits.checked_shr(shift + 1).unwrap_or(0);
            let turn = self.hash((width, place, before)) & 1;
            out ^ (u128::from(turn) << shift)
        })
    }
}

/// The number of bits that show the kind of an address: 0 for a public one; `None` where all bits do.
fn kept_bits(address: Ipv4Addr) -> Option<u32> {
    match address.octets() {
        [0 | 127 | 224..=255, ..] | [169, 254, ..] => None,
        [10, ..] => Some(8),
        [172, 16..=31, ..] => Some(12),
        [192, 168, ..] => Some(16),
        _ => Some(0),
    }
}

/// A filter without the address or the name that it has.
fn unnamed(filter: &str) -> String {
    match filter.split_once(' ') {
        Some((option @ ("--local" | "--remote" | "--netns"), _)) => format!("{option} (anonymized)"),
        _ => filter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::namespace::LocalAddress;

    #[test]
    fn of_an_unknown_record_only_the_kind_stays() {
        let anonymizer = Anonymizer::new([7; 16]);
        let unknown = [&999_u16.to_ne_bytes()[..], b"192.0.2.1 of a later version"].concat();
        assert_eq!(anonymizer.entry(&unknown), 999_u16.to_ne_bytes());
    }

    fn common(a: u32, b: u32) -> u32 {
        (a ^ b).leading_zeros()
    }

    proptest! {
        #[test]
        fn subnets_stay_subnets(net in 1_u32..3, a: u16, b: u16) {
            // Addresses of one kind, which need no walk.
            let anonymizer = Anonymizer::new([7; 16]);
            let address = |host: u16| Ipv4Addr::from_bits(10 << 24 | net << 16 | u32::from(host));
            let [x, y] = [a, b].map(|host| anonymizer.v4(address(host)).to_bits());
            prop_assert_eq!(common(x, y), common(u32::from(a), u32::from(b)));
            prop_assert_eq!(x >> 24, 10);
        }
    }

    #[test]
    fn names_of_devices_and_filters() {
        let anonymizer = Anonymizer::new([7; 16]);
        let answer = Answer { from_ns: 1, key: (4, 3), value: Some("customer-7".into()) };
        anonymizer.input(&Input::Device(answer), |input| {
            let Input::Device(shown) = input else { panic!("{input:?}") };
            assert!(shown.value.as_deref().is_some_and(|name| name != "customer-7"), "{shown:?}");
        });
        let words =
            ["--local 192.0.2.7", "--remote 2001:db8::/32", "--netns blue", "--local-port 80", "--ipv4"];
        let shown = words.map(unnamed);
        assert!(shown[..3].iter().all(|word| word.ends_with(" (anonymized)")), "{shown:?}");
        assert_eq!(shown[3..], ["--local-port 80", "--ipv4"]);
    }

    /// The key alone decides: two recordings with the same key have the same names, and no other key gives these names.
    #[test]
    fn what_stands_for_an_address_follows_from_the_key() {
        let address: IpAddr = "192.0.2.7".parse().expect("an address");
        let with = |byte| Anonymizer::new([byte; 16]).address(address);
        assert_eq!(with(1), with(1));
        let others: HashSet<_> = (0..=255).map(with).collect();
        assert!(others.len() > 250, "{} of 256", others.len());
    }

    #[test]
    fn every_address_has_its_own() {
        let anonymizer = Anonymizer::new([7; 16]);
        let addresses =
            || (0..20_000_u32).map(|number| Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761)));
        let public: HashSet<_> = addresses().filter(|address| kept_bits(*address) == Some(0)).collect();
        let others: HashSet<_> = public.iter().map(|address| anonymizer.v4(*address)).collect();
        assert_eq!(public.len(), others.len());
        assert!(others.iter().all(|address| kept_bits(*address) == Some(0)));
        for stays in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::", "::1", "fe80::1"] {
            let address: IpAddr = stays.parse().expect("an address");
            assert_eq!(anonymizer.address(address), address);
        }
        let global: IpAddr = "2001:db8::1".parse().expect("an address");
        assert_ne!(anonymizer.address(global), global);
        assert_eq!(anonymizer.address(global), anonymizer.address(global));
    }

    #[test]
    fn a_device_has_one_name_wherever_it_stands() {
        let anonymizer = Anonymizer::new([7; 16]);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for (name, stays) in [("lo", true), ("eth0", false)] {
            let mut namespace = NamespaceSample {
                addresses: vec![LocalAddress { address, interface: name.to_owned(), running: true }],
                ..NamespaceSample::default()
            };
            anonymizer.namespace(&mut namespace);
            assert_eq!(namespace.addresses[0].interface, anonymizer.device(name));
            assert_eq!(anonymizer.device(name) == name, stays);
        }
    }

    #[test]
    fn names_are_the_same_each_time_and_the_kernels_stay() {
        let anonymizer = Anonymizer::new([7; 16]);
        let nginx = anonymizer.comm(b"nginx\0old");
        assert_eq!(nginx, anonymizer.comm(b"nginx"));
        assert!(nginx.starts_with(b"name-") && nginx[15] == 0);
        assert_eq!(&anonymizer.comm(b"kworker/0:1-events")[..9], b"kworker/\0");
        assert_eq!(anonymizer.comm(b""), [0; 16]);
        assert_ne!(nginx, Anonymizer::new([8; 16]).comm(b"nginx"), "each recording has its key");
    }
}
