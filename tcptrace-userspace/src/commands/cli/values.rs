//! Values of options, parsed with errors that say what would be right.

use std::{
    fmt::{self, Display},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::IpNet;
use tcptrace_common::{Address, Prefix};
use tcptrace_core::diagnosis::detect::Expected;

use crate::bpf::MAX_BUFFER;

/// Ports from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

/// `80` or `8000-8999`.
pub(super) fn ports(text: &str) -> Result<PortRange, String> {
    let port = |text: &str| match text.trim().parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("'{text}' is not a port: 1 to 65535, or a range such as 8000-8999")),
        Ok(port) => Ok(port),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last {
        return Err(format!("'{text}' is an empty range; {last}-{first} is not"));
    }
    Ok(PortRange(first..=last))
}

/// `22`, `8000-8003`, or of one program only `nginx:80`, `nginx:8200-8203`.
pub(super) fn expected(text: &str) -> Result<Expected, String> {
    let (comm, range) = match text.rsplit_once(':') {
        Some((comm, range)) => (Some(comm.trim().to_owned()), range),
        None => (None, text),
    };
    if comm.as_ref().is_some_and(String::is_empty) {
        return Err(format!("'{text}' names no program; nginx:80 does, and a port alone is any program's"));
    }
    let PortRange(ports) = ports(range)?;
    Ok(Expected { comm, ports })
}

/// `192.0.2.0/24`, `2001:db8::/32`, or a single address.
pub(super) fn prefix(text: &str) -> Result<Prefix, String> {
    let net = match text.trim().parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => text.trim().parse::<IpAddr>().map(IpNet::from).map_err(|_| {
            format!("'{text}' is neither an address nor a prefix such as 192.0.2.0/24 or 2001:db8::/32")
        })?,
    };
    Ok(match net {
        IpNet::V4(v4) => Prefix::new(Address::from_v4(v4.addr().octets()), 96 + v4.prefix_len()),
        IpNet::V6(v6) => Prefix::new(Address::from_v6(v6.addr().octets()), v6.prefix_len()),
    })
}

/// A prefix as [`prefix`] reads it.
pub(super) fn shown(prefix: &Prefix) -> String {
    let address = Address { words: prefix.net };
    let len = prefix.mask.map(u64::count_ones).iter().sum::<u32>();
    let [.., a, b, c, d] = address.octets();
    let (text, len, longest) = match len.checked_sub(96) {
        Some(len) if address.is_v4() => (Ipv4Addr::new(a, b, c, d).to_string(), len, 32),
        _ => (Ipv6Addr::from(address.octets()).to_string(), len, 128),
    };
    if len == longest { text } else { format!("{text}/{len}") }
}

/// `512K`, `4M`, `1G` (powers of two), or bytes.
pub(super) fn buffer(text: &str) -> Result<u64, String> {
    let size = parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|error| format!("{error}; a size is a number with K, M or G, such as 4M"))?;
    if size == 0 || size > MAX_BUFFER {
        return Err(format!("the ring buffer can have one page to {}G", MAX_BUFFER >> 30));
    }
    Ok(size)
}

/// `100M`, `1G` (powers of two), or bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let parsed = parse_size::Config::new().with_binary().parse_size(text);
    parsed.map_err(|error| format!("{error}; a size is a number with K, M or G, such as 100M"))
}

/// `30s`, `5m`, `1h30m`, or seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.trim().parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text.trim()),
    };
    match parsed {
        Ok(Duration::ZERO) => Err("a trace of no length shows nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; a time is 30s, 5m or 1h30m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges() {
        assert_eq!(ports("80"), Ok(PortRange(80..=80)));
        assert_eq!(ports("8000-8999"), Ok(PortRange(8000..=8999)));
        for wrong in ["", "0", "65536", "80-", "-80", "90-80", "http"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn expected_listeners() {
        let of = |comm: Option<&str>, ports| Ok(Expected { comm: comm.map(str::to_owned), ports });
        assert_eq!(expected("22"), of(None, 22..=22));
        assert_eq!(expected("8000-8003"), of(None, 8000..=8003));
        assert_eq!(expected("nginx:80"), of(Some("nginx"), 80..=80));
        assert_eq!(expected("nginx: worker:8200-8203"), of(Some("nginx: worker"), 8200..=8203));
        for wrong in
            ["", "0", "0-3", "8003-8000", "nginx:", "nginx:0", "nginx:90-80", ":80", ":80-90", "nginx"]
        {
            assert!(expected(wrong).is_err(), "{wrong}");
        }
        assert!(expected("nginx:90-80").is_err_and(|error| error.contains("80-90")), "says what is right");
    }

    #[test]
    fn prefixes_of_both_families() {
        assert_eq!(prefix("192.0.2.7/24"), Ok(Prefix::new(Address::from_v4([192, 0, 2, 0]), 120)));
        assert_eq!(prefix("192.0.2.7"), Ok(Prefix::new(Address::from_v4([192, 0, 2, 7]), 128)));
        assert_eq!(prefix("::/0"), Ok(Prefix::new(Address::UNSPECIFIED, 0)));
        assert!(prefix("192.0.2.0/33").is_err() && prefix("host").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("0").is_err() && duration("soon").is_err() && duration("-1s").is_err());
    }

    #[test]
    fn buffers() {
        assert_eq!(buffer("4M"), Ok(4 << 20));
        assert_eq!(buffer("1000"), Ok(1000));
        assert!(buffer("0").is_err() && buffer("2G").is_err() && buffer("big").is_err());
    }
}
