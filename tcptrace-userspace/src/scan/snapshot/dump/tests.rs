use netlink_packet_core::NLMSG_OVERRUN;
use netlink_packet_sock_diag::constants::AF_INET;
use proptest::prelude::*;

use super::*;

const FACTS: Facts = Facts { netns: None, fin_timeout_ms: None, now_ns: 0 };

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).expect("short");
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The fixed part of an answer.
fn answer(cookie: u8, rport: u8) -> Vec<u8> {
    let mut payload = vec![0; 72];
    payload[0] = AF_INET;
    payload[1] = 1;
    payload[7] = rport;
    payload[44] = cookie;
    payload
}

#[test]
fn a_question_for_everything() {
    let bytes = question(0);
    assert_eq!(bytes.len(), 76, "a netlink header and struct inet_diag_req");
    assert_eq!(bytes[..4], 76_u32.to_ne_bytes());
    assert_eq!(bytes[4..6], 18_u16.to_ne_bytes());
    assert_eq!(bytes[19], 1 << 1 | 1 << 6, "INET_DIAG_INFO and INET_DIAG_SKMEMINFO, counted from 1");
    assert_eq!(bytes[68..72], [0xff; 4], "every state");
    assert_eq!(question(1 << 10)[68..72], 1024_u32.to_ne_bytes());
    assert_eq!(asked_states(1 << 12), 1 << 12 | 1 << 3, "requests");
    assert_eq!(asked_states(1 << 7), 1 << 7 | 1 << 13, "bound ones");
}

#[test]
fn a_datagram_of_several_messages() {
    let mut datagram = message(TCPDIAG_GETSOCK, NLM_F_DUMP_INTR, &answer(1, 1));
    datagram.extend(message(TCPDIAG_GETSOCK, 0, &answer(2, 2)));
    datagram.extend(message(TCPDIAG_GETSOCK, 0, &[0; 20]));
    datagram.extend(message(NLMSG_OVERRUN, 0, &[]));
    datagram.extend(message(NLMSG_DONE, 0, &0_i32.to_ne_bytes()));
    let (mut walk, mut sockets) = (Walk::default(), Vec::new());
    assert_eq!(walk.messages(&datagram, FACTS, &mut sockets), Ok(true));
    assert_eq!(sockets.len(), 2);
    assert!(walk.interrupted);
    assert_eq!(walk.undecodable, 2, "an answer that is too short, and what is no answer");
    // A truncated message is not decoded.
    let (mut walk, mut sockets) = (Walk::default(), Vec::new());
    assert_eq!(walk.messages(&datagram[..100], FACTS, &mut sockets), Ok(false));
    assert_eq!((sockets.len(), walk.undecodable), (1, 1));
}

#[test]
fn the_last_message_tells_the_error() {
    let last =
        |kind, payload: &[u8]| Walk::default().messages(&message(kind, 0, payload), FACTS, &mut Vec::new());
    assert_eq!(last(NLMSG_DONE, &[0; 4]), Ok(true));
    assert_eq!(last(NLMSG_DONE, &(-2_i32).to_ne_bytes()), Err(Errno::ENOENT));
    assert_eq!(last(NLMSG_ERROR, &(-1_i32).to_ne_bytes()), Err(Errno::EPERM));
    assert_eq!(last(NLMSG_ERROR, &[]), Err(Errno::EBADMSG));
}

#[test]
fn of_doubles_the_last_stays() {
    let socket = |cookie, rport| Box::new(answer::decode(&answer(cookie, rport), &FACTS).expect("an answer"));
    let mut sockets = vec![socket(1, 1), socket(2, 2), socket(1, 3), socket(3, 4), socket(1, 5)];
    drop_doubles(&mut sockets);
    let left: Vec<_> = sockets.iter().map(|socket| (socket.cookie, socket.flow.remote.port)).collect();
    assert_eq!(left, [(2, 2), (3, 4), (1, 5)]);
}

proptest! {
    #[test]
    fn datagrams_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        place in 0..88_usize,
        value in any::<u8>(),
    ) {
        let _ = Walk::default().messages(&noise, FACTS, &mut Vec::new());
        let mut datagram = message(TCPDIAG_GETSOCK, 0, &answer(1, 1));
        datagram[place] = value;
        let _ = Walk::default().messages(&datagram, FACTS, &mut Vec::new());
    }
}
