//! What the user writes: a command line, or a file of thresholds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::Parser as _;
use tcptrace::commands::{
    cli::{Args, Command, FilterArgs},
    stream,
};
use tcptrace_core::{
    diagnosis::detect::Thresholds,
    model::flow::{Endpoint, Flow},
};

/// Ports on the edges of what is set by bits.
const PORTS: [u16; 8] = [1, 22, 63, 64, 80, 8_080, 40_000, u16::MAX];

/// `data` is a command line, a word a line, or else a file of thresholds.
///
/// # Panics
/// What is made of it does not hold together.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.starts_with("tcptrace\n") {
        command_line(text);
    } else if let Ok(thresholds) = Thresholds::parse(text) {
        let explained = thresholds.explained();
        let again = Thresholds::parse(&explained).map(|again| again.explained());
        assert_eq!(again.as_deref(), Ok(explained.as_str()), "what is shown can be read");
    }
}

fn command_line(text: &str) {
    let Ok(args) = Args::try_parse_from(text.lines()) else { return };
    match args.command {
        None => traced(args.trace.settings(), &args.trace.stream.source.filter),
        Some(Command::Trace(args)) => traced(args.settings(), &args.stream.source.filter),
        Some(Command::Life(args)) => traced(args.settings(), &args.stream.source.filter),
        Some(Command::Record(args)) => traced(args.settings(), &args.source.filter),
        _ => {}
    }
}

/// What is wanted is what was said, whatever the form in which the kernel side looks it up.
fn traced(settings: anyhow::Result<stream::Settings>, said: &FilterArgs) {
    let Ok(settings) = settings else { return };
    let wanted = settings.trace.bpf.wanted();
    let netns = Some(wanted.filter.netns);
    for address in
        [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv4Addr::new(192, 0, 2, 7).into(), Ipv6Addr::LOCALHOST.into()]
    {
        let family = !(said.ipv4 && address.is_ipv6() || said.ipv6 && address.is_ipv4());
        for (lport, rport) in PORTS.iter().zip(PORTS.iter().rev()) {
            let ports = [(&said.local_port, lport), (&said.remote_port, rport)];
            let by_port = ports
                .into_iter()
                .all(|(set, port)| set.is_empty() || set.iter().any(|range| range.0.contains(port)));
            let end = |port: &u16| Endpoint::new(address, *port);
            let passes = wanted.flow_passes(&Flow { netns, local: end(lport), remote: end(rport) });
            assert!(!passes || (family && by_port), "{address} {lport} {rport}: {said:?}");
            if said.local.is_empty() && said.remote.is_empty() {
                assert_eq!(passes, family && by_port, "{address} {lport} {rport}: {said:?}");
            }
        }
    }
}
