//! The filters that commands share.

use anyhow::Context as _;
use clap::Args;
use tcptrace_common::{Filter, MAX_PREFIXES, Prefix};
use tcptrace_core::model::{ports::PortSet, state::State, text::Escaped};

use super::{netns, values};
use crate::scan::snapshot::Netns;

/// Which sockets are wanted.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// IPv4 only (IPv6 sockets that talk IPv4 included)
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Sockets of this process (as the host numbers it)
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Local ports, such as 80,443,8000-8999
    #[arg(short = 'L', long, value_name = "PORTS", value_delimiter = ',', value_parser = values::ports)]
    pub local_port: Vec<values::PortRange>,
    /// Remote ports
    #[arg(short = 'D', long, visible_alias = "dport", value_name = "PORTS", value_delimiter = ',', value_parser = values::ports)]
    pub remote_port: Vec<values::PortRange>,
    /// Local addresses or prefixes, such as 192.0.2.0/24,2001:db8::/32
    #[arg(long, visible_alias = "src", value_name = "CIDR", value_delimiter = ',', value_parser = values::prefix)]
    pub local: Vec<Prefix>,
    /// Remote addresses or prefixes
    #[arg(long, visible_alias = "dst", value_name = "CIDR", value_delimiter = ',', value_parser = values::prefix)]
    pub remote: Vec<Prefix>,
    /// One network namespace: a name of `ip netns`, a path such as /proc/PID/ns/net, or an inode number; of
    /// a capture, only the number is that of the host where it was recorded
    #[arg(long, value_name = "NETNS")]
    pub netns: Option<String>,
}

impl FilterArgs {
    /// All but states and ports.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn filter(&self) -> anyhow::Result<Filter> {
        let mut filter = Filter::NONE;
        filter.family = if self.ipv4 { 4 } else { 0 } + if self.ipv6 { 6 } else { 0 };
        filter.tgid = self.pid.unwrap_or(0);
        filter.netns = self.netns()?.map_or(0, |netns| netns.inode);
        filter.locals = prefixes(&self.local, &mut filter.local).context("--local")?;
        filter.remotes = prefixes(&self.remote, &mut filter.remote).context("--remote")?;
        Ok(filter)
    }

    /// The namespace.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn netns(&self) -> anyhow::Result<Option<Netns>> {
        self.netns.as_deref().map(netns::find).transpose()
    }

    /// The options that were given, as a person would write them.
    pub fn words(&self) -> Vec<String> {
        let flag = |given: bool, name: &str| given.then(|| name.to_owned());
        let list = |name: &str, values: Vec<String>| {
            (!values.is_empty()).then(|| format!("{name} {}", values.join(",")))
        };
        let ports = |ranges: &[values::PortRange]| ranges.iter().map(ToString::to_string).collect();
        let prefixes = |prefixes: &[Prefix]| prefixes.iter().map(values::shown).collect();
        let netns = self.netns.as_ref().map(|netns| format!("--netns {}", Escaped(netns.as_bytes())));
        let words = [
            flag(self.ipv4, "--ipv4"),
            flag(self.ipv6, "--ipv6"),
            self.pid.map(|pid| format!("--pid {pid}")),
            list("--local-port", ports(&self.local_port)),
            list("--remote-port", ports(&self.remote_port)),
            list("--local", prefixes(&self.local)),
            list("--remote", prefixes(&self.remote)),
            netns,
        ];
        words.into_iter().flatten().collect()
    }

    /// The local ports; `None` is any.
    pub fn lports(&self) -> Option<PortSet> {
        port_set(&self.local_port)
    }

    /// The remote ports; `None` is any.
    pub fn rports(&self) -> Option<PortSet> {
        port_set(&self.remote_port)
    }
}

/// An option with these states, as a person would write it; `None` without states.
pub(super) fn state_words(name: &str, states: &[State]) -> Option<String> {
    let states: Vec<String> = states.iter().map(ToString::to_string).collect();
    (!states.is_empty()).then(|| format!("{name} {}", states.join(",")))
}

/// A bit for each state.
pub(super) fn state_bits(states: &[State]) -> u32 {
    states.iter().fold(0, |bits, state| bits | 1 << state.0)
}

fn port_set(ranges: &[values::PortRange]) -> Option<PortSet> {
    if ranges.is_empty() {
        return None;
    }
    let mut set = PortSet::new();
    for range in ranges {
        set.insert(range.0.clone());
    }
    Some(set)
}

/// Copies the prefixes into the fixed room of the kernel side and returns how many.
fn prefixes(wanted: &[Prefix], room: &mut [Prefix; MAX_PREFIXES]) -> anyhow::Result<u32> {
    anyhow::ensure!(
        wanted.len() <= MAX_PREFIXES,
        "{} prefixes given, at most {MAX_PREFIXES} are possible; combine some into a shorter one",
        wanted.len()
    );
    room[..wanted.len()].copy_from_slice(wanted);
    Ok(u32::try_from(wanted.len())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        filter: FilterArgs,
    }

    #[test]
    fn options_are_told_as_they_are_written() {
        let words = |line: &str| Only::parse_from(line.split(' ')).filter.words();
        assert!(words("tcptrace").is_empty());
        let all =
            "tcptrace -4 -p 7 -L 80,8000-8999 --dport 443 --src 192.0.2.7,192.0.2.0/24 --dst 2001:db8::/32";
        let told = "tcptrace --ipv4 --pid 7 --local-port 80,8000-8999 --remote-port 443 \
                    --local 192.0.2.7,192.0.2.0/24 --remote 2001:db8::/32";
        assert_eq!(format!("tcptrace {}", words(all).join(" ")), told);
        assert_eq!(words(told), words(all));
        assert_eq!(words("tcptrace -6 --netns a\x1b"), ["--ipv6", "--netns a\\x1b"]);
    }
}
