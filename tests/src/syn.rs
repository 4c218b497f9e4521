//! Raw packets: SYNs from senders that do not exist, with documentation addresses as their source, and other segments.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread::sleep,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

const TCP: u8 = 6;
/// Flag of a segment that opens a connection.
pub const SYN: u8 = 0x02;
/// Flag of data that the receiver should read at once.
pub const PSH: u8 = 0x08;
/// Flag of all segments but the first.
pub const ACK: u8 = 0x10;
/// `IPPROTO_RAW`: a packet with its own IP header.
const RAW: i32 = 255;

/// A spoofed source, a different one for each `number`.
pub fn source(v6: bool, number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    let port = 10_000 + u16::from(high);
    if v6 {
        (Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1 + u16::from(low)), port).into()
    } else {
        (Ipv4Addr::new(203, 0, 113, low), port).into()
    }
}

/// Sends `count` SYNs, at most a few thousand, each from a different source.
pub fn flood(target: SocketAddr, count: u16) {
    assert!(count <= 5_000, "a bounded flood");
    for number in 0..count {
        send(source(target.is_ipv6(), number), target);
        // The kernel handles each SYN as it is sent; the pause lets other tasks run.
        if number % 256 == 255 {
            sleep(Duration::from_millis(1));
        }
    }
}

/// Sends one SYN.
pub fn send(from: SocketAddr, to: SocketAddr) {
    let syn = Segment { flags: SYN, seq: 0x0102_0304, ack: 0, data: &[] };
    send_packet(&raw_socket(to), &packet(from, to, &syn), to);
}

/// A socket for [`send_packet`].
pub fn raw_socket(to: SocketAddr) -> Socket {
    let domain = if to.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::RAW, Some(Protocol::from(RAW))).expect("a raw socket")
}

/// Sends a packet.
pub fn send_packet(socket: &Socket, packet: &[u8], to: SocketAddr) {
    let place = SocketAddr::new(to.ip(), 0);
    let sent =
        socket.send_to(packet, &place.into()).unwrap_or_else(|error| panic!("a packet to {to}: {error}"));
    assert_eq!(sent, packet.len());
}

/// The variable parts of a segment without options.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// [`SYN`] and other flags.
    pub flags: u8,
    /// The sequence number of the first byte.
    pub seq: u32,
    /// The next expected byte.
    pub ack: u32,
    /// The data, an even number of bytes.
    pub data: &'a [u8],
}

/// A packet with this segment.
pub fn packet(from: SocketAddr, to: SocketAddr, segment: &Segment<'_>) -> Vec<u8> {
    let segment = header(from, to, segment);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => v4(source, target, &segment),
        (IpAddr::V6(source), IpAddr::V6(target)) => v6(source, target, &segment),
        _ => panic!("two families: {from} and {to}"),
    }
}

/// A TCP header (RFC 9293, 3.1) without options, and the data.
fn header(from: SocketAddr, to: SocketAddr, of: &Segment<'_>) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(of.seq.to_be_bytes());
    segment.extend(of.ack.to_be_bytes());
    segment.extend([5 << 4, of.flags]);
    segment.extend(1_024_u16.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(of.data);
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let length = u8::try_from(segment.len()).expect("a header");
    let pseudo = [octets(from.ip()), octets(to.ip()), vec![0, TCP, 0, length]].concat();
    let sum = checksum(&[pseudo, segment.clone()].concat());
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

fn v4(source: Ipv4Addr, target: Ipv4Addr, segment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + segment.len()).expect("a packet");
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0, 0, 64, TCP, 0, 0]);
    header.extend(source.octets());
    header.extend(target.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [header, segment.to_vec()].concat()
}

fn v6(source: Ipv6Addr, target: Ipv6Addr, segment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(segment.len()).expect("a packet");
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([TCP, 64]);
    header.extend(source.octets());
    header.extend(target.octets());
    [header, segment.to_vec()].concat()
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}
