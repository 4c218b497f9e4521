//! The independent witness of resets: tracefs' own `tcp:tcp_send_reset` event.

use std::net::SocketAddr;

use crate::{
    instance::{Instance, ktime_ns},
    transition::Tuple,
};

const EVENT: &str = "events/tcp/tcp_send_reset";
/// tracefs' buffer: a few thousand resets on each CPU.
const BUFFER_KIB: u32 = 256;

/// A tracefs instance that records the resets that the whole host sends.
#[derive(Debug)]
pub struct SentResets(Instance);

/// A sent reset.
#[derive(Clone, Debug)]
pub struct SentReset {
    /// Nanoseconds of `CLOCK_MONOTONIC`, whole microseconds.
    pub ktime_ns: u64,
    /// The connection that it ended.
    pub tuple: Tuple,
    /// The reason, in lower case as tcptrace prints it.
    pub reason: String,
}

impl SentResets {
    /// Starts recording; `None` if the kernel gives no reasons (before Linux 6.10). `number` must be unique among the
    /// tests that run now.
    pub fn start(number: u16) -> Option<Self> {
        let instance = Instance::new(&format!("resets-{number}"), BUFFER_KIB);
        if !instance.get(&format!("{EVENT}/format"))?.contains("reason=%s") {
            return None;
        }
        instance.set(&format!("{EVENT}/enable"), "1");
        Some(Self(instance))
    }

    /// The resets recorded so far.
    pub fn all(&self) -> Vec<SentReset> {
        self.0.log().lines().filter_map(parse).collect()
    }
}

fn parse(line: &str) -> Option<SentReset> {
    let (head, event) = line.rsplit_once(": tcp_send_reset: ")?;
    let field = |name: &str| {
        event.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).expect("a known field")
    };
    // A reset without a socket: the reply to a packet for no socket, such as a packet from a peer whose socket has
    // ended.
    if field("skaddr").trim_start_matches('0').is_empty() || field("skaddr") == "(null)" {
        return None;
    }
    let end = |name: &str| field(name).parse::<SocketAddr>().expect("an address with its port");
    let (local, remote) = (end("src"), end("dest"));
    let tuple = Tuple { laddr: local.ip(), lport: local.port(), raddr: remote.ip(), rport: remote.port() };
    Some(SentReset {
        ktime_ns: ktime_ns(head).expect("a time"),
        tuple: tuple.canonical(),
        reason: field("reason").to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "  a-77  [001] b..2.  2701.744205: tcp_send_reset: skbaddr=0000000000000000 \
        skaddr=00000000c0ffee src=192.0.2.1:80 dest=[::ffff:192.0.2.1]:4000 state=TCP_CLOSE \
        reason=TCP_ABORT_ON_CLOSE";

    #[test]
    fn a_line_is_understood() {
        assert!(parse(&LINE.replace("c0ffee", "000000")).is_none(), "no socket's");
        let reset = parse(LINE).expect("a reset");
        assert_eq!((reset.ktime_ns, reset.tuple.rport), (2_701_744_205_000, 4_000));
        assert_eq!(reset.tuple.raddr, reset.tuple.laddr);
        assert_eq!(reset.reason, "tcp_abort_on_close");
    }
}
