//! SYNs of senders that there are not: whole packets, made here, with documentation addresses as their source.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread::sleep,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

const TCP: u8 = 6;
const SYN: u8 = 0x02;
/// `IPPROTO_RAW`: a packet with its own IP header.
const RAW: i32 = 255;

/// A spoofed source: `number` makes it another one.
pub fn source(v6: bool, number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    let port = 10_000 + u16::from(high);
    if v6 {
        (Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1 + u16::from(low)), port).into()
    } else {
        (Ipv4Addr::new(203, 0, 113, low), port).into()
    }
}

/// Sends `count` SYNs, at most a few thousand, each from another source.
pub fn flood(target: SocketAddr, count: u16) {
    assert!(count <= 5_000, "a bounded flood");
    for number in 0..count {
        send(source(target.is_ipv6(), number), target);
        // The kernel handles them as they are sent; others have their turn.
        if number % 256 == 255 {
            sleep(Duration::from_millis(1));
        }
    }
}

/// Sends one SYN.
pub fn send(from: SocketAddr, to: SocketAddr) {
    let segment = segment(from, to);
    let (domain, packet) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => (Domain::IPV4, v4(source, target, &segment)),
        (IpAddr::V6(source), IpAddr::V6(target)) => (Domain::IPV6, v6(source, target, &segment)),
        _ => panic!("two families: {from} and {to}"),
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(RAW))).expect("a raw socket");
    let place = SocketAddr::new(to.ip(), 0);
    let sent = socket.send_to(&packet, &place.into()).unwrap_or_else(|error| panic!("SYN to {to}: {error}"));
    assert_eq!(sent, packet.len());
}

/// A TCP header (RFC 9293, 3.1) without options.
fn segment(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend([1, 2, 3, 4, 0, 0, 0, 0]);
    segment.extend([5 << 4, SYN]);
    segment.extend(1_024_u16.to_be_bytes());
    segment.extend([0; 4]);
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
