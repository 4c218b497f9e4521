//! The number of sockets in TIME_WAIT, and its limit in a namespace.

use crate::{
    diagnosis::detect::{
        Sample,
        culprits::{many, share},
        growth::Growth,
    },
    model::{
        finding::{Confidence, Finding},
        hash::HashMap,
        limits::Limits,
        state::State,
    },
};

const ID: &str = "time-wait-exhaustion";

const OVERFLOWS: &str = "TCPTimeWaitOverflow";

#[derive(Default)]
pub(super) struct Buckets {
    /// Sockets in TIME_WAIT at the scan that found most of them, by namespace.
    most: HashMap<Option<u32>, u64>,
    growth: Growth,
}

impl Buckets {
    pub(super) fn sample(&mut self, sample: &Sample) {
        self.growth.note(sample, OVERFLOWS);
        let mut now: HashMap<Option<u32>, u64> = HashMap::default();
        for seen in &sample.sockets {
            let waits = u64::from(seen.socket.state == State::TIME_WAIT);
            *now.entry(seen.socket.flow.netns).or_default() += waits;
        }
        for (netns, waiting) in now {
            let most = self.most.entry(netns).or_default();
            *most = waiting.max(*most);
        }
    }

    /// Findings about namespaces where at least the share `least` of the limit is in TIME_WAIT, or where the limit was
    /// exceeded.
    pub(super) fn findings(&self, least: f64, limits: &HashMap<Option<u32>, Limits>) -> Vec<Finding> {
        let of = |(netns, most): (&Option<u32>, &u64)| self.finding(*netns, *most, least, limits);
        self.most.iter().filter_map(of).collect()
    }

    fn finding(
        &self,
        netns: Option<u32>,
        most: u64,
        least: f64,
        limits: &HashMap<Option<u32>, Limits>,
    ) -> Option<Finding> {
        let limit = limits.get(&netns)?.max_tw_buckets;
        let ended_early = self.growth.of(netns, OVERFLOWS);
        if ended_early.by() == 0 && share(most, limit) < least {
            return None;
        }
        let summary = if ended_early.by() == 0 {
            format!("up to {} were in TIME_WAIT, of {limit} that are allowed", many(most, "socket"))
        } else {
            // There were more between two scans.
            format!(
                "the kernel ended {} without TIME_WAIT, in which {limit} are allowed; up to {most} were seen there",
                many(ended_early.by(), "connection")
            )
        };
        // Without TIME_WAIT, the kernel answers a FIN that is sent again by a reset. All data was acknowledged before, so
        // none is lost. TIME_WAIT keeps old segments out of a new connection with the same ends; whether one got in cannot
        // be detected.
        let finding = Finding::new(ID, Confidence::HIGH, summary)
            .about_in(netns, "tcp_max_tw_buckets")
            .because("in TIME_WAIT at most", most)
            .because("net.ipv4.tcp_max_tw_buckets", limit)
            .because("ended early (TCPTimeWaitOverflow), grown by", ended_early)
            .then(
                "Find out who closes so many connections",
                Some("tcptrace sockets --state TIME_WAIT --by peer".to_owned()),
            )
            .then(
                "Allow more; each takes some hundred bytes",
                Some("sysctl net.ipv4.tcp_max_tw_buckets".to_owned()),
            );
        Some(finding)
    }
}
