//! The finding about a leak.

use std::time::Duration;

use super::{
    super::{
        culprits::{many, nanoseconds, the_oldest},
        descriptors::Descriptors,
    },
    CloseWait, Last,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity},
    who::Who,
};

const ID: &str = "close-wait-leak";

impl CloseWait {
    pub(super) fn finding(&self, who: &Who, last: &Last) -> Finding {
        let first = self.first.as_ref().and_then(|(_, first)| first.get(&who.pid)).copied().unwrap_or(0);
        let descriptors = self.descriptors(who.pid);
        let confidence = if last.all > first || last.oldest_ns >= nanoseconds(60) {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: the number grows, or the same sockets stay")
        };
        let mut summary = format!(
            "{who} has {} that the peer has closed, {}, and does not close {}",
            many(last.forgotten, "connection"),
            the_oldest(last.forgotten, last.oldest_ns),
            if last.forgotten == 1 { "it" } else { "them" },
        );
        let time_left = descriptors.and_then(|all| self.time_left(last, first, all));
        match (descriptors, time_left) {
            (Some(all), _) if all.run_out_by(last.forgotten) => {
                summary = format!("{summary}; {} of {} descriptors are open", all.used, all.limit);
            }
            (Some(all), Some(time_left)) if all.run_out() => {
                let minutes = many(time_left.as_secs() / 60, "minute");
                summary = format!("{summary}; at this rate the last descriptor is open in {minutes}");
            }
            _ => {}
        }
        let mut finding = Finding::new(ID, confidence, summary);
        let severity = self.severity(who, last, first, descriptors);
        if severity > Severity::Info {
            let what = "descriptors held by connections that are over";
            finding = finding.harms(severity, Harm::new(last.forgotten, what, who.to_string()));
        }
        last.cookies.iter().for_each(|cookie| finding.links.explains(*cookie));
        let finding = finding
            .about(format!("process {}", who.pid))
            .because("in CLOSE_WAIT", last.all)
            .because("of these forgotten", last.forgotten)
            .because("of these of a server that owes no answer", last.sure)
            .because("oldest, at least", Duration::from_nanos(last.oldest_ns))
            .because("at the first scan", first)
            .because("with data that was never read", last.unread);
        let finding = match descriptors {
            Some(Descriptors { used, limit }) => {
                finding.because("descriptors open", EvidenceValue::part(used, limit))
            }
            None => finding,
        };
        let finding = match time_left {
            Some(time_left) => finding.because("at this rate the last descriptor is open in", time_left),
            None => finding,
        };
        let finding = inherited(last, finding)
            .then("See them", Some(format!("ss -tanp state close-wait | grep pid={},", who.pid)))
            .then(
                "Compare with the limit of open files",
                Some(format!("ls /proc/{0}/fd | wc -l; grep 'open files' /proc/{0}/limits", who.pid)),
            )
            .then(
                "Restart the program to free them; check its code for a path that ends without close()",
                None,
            )
            .not("a busy program, which has connections in CLOSE_WAIT for moments only")
            .not("a program that still sends, or has yet to answer");
        Finding { owners: last.holders.in_order(), ..last.culprits.name(finding) }
    }

    /// Sockets whose number stays the same do no harm, for example in a client's pool whose servers have closed. The sockets
    /// of a server that owes no answer are over for good.
    fn severity(&self, who: &Who, last: &Last, first: u64, descriptors: Option<Descriptors>) -> Severity {
        let is_sure = last.sure >= self.thresholds.count;
        let grows = if is_sure { last.all > first } else { self.keeps_growing(who.pid) };
        let are_over = is_sure && last.oldest_sure_ns >= nanoseconds(self.thresholds.age_s).saturating_mul(2);
        let runs_out = match descriptors {
            Some(descriptors) => descriptors.run_out_by(last.forgotten),
            None => last.forgotten >= self.thresholds.critical_count,
        };
        match (runs_out, grows || are_over) {
            (true, _) => Severity::Critical,
            (false, true) => Severity::Warning,
            (false, false) => Severity::Info,
        }
    }

    fn keeps_growing(&self, pid: u32) -> bool {
        self.trends.get(&pid).is_some_and(|trend| trend.keeps_growing())
    }

    fn descriptors(&self, pid: u32) -> Option<Descriptors> {
        Descriptors::of(self.conditions.get(&pid)?)
    }

    /// The time until the limit is reached, at the rate at which the sockets grew during the watch.
    fn time_left(&self, last: &Last, first: u64, descriptors: Descriptors) -> Option<Duration> {
        let (first_ns, _) = self.first.as_ref()?;
        let more = u128::from(last.all.checked_sub(first).filter(|more| *more > 0)?);
        let left = u128::from(descriptors.limit.saturating_sub(descriptors.used));
        let elapsed_ns = u128::from(self.now_ns.saturating_sub(*first_ns));
        u64::try_from(left * elapsed_ns / more).ok().map(Duration::from_nanos)
    }
}

/// Reports sockets that several processes have open: one `close()` does not end such a connection.
fn inherited(last: &Last, finding: Finding) -> Finding {
    if last.shared == 0 {
        return finding;
    }
    finding
        .because("of these open in other processes as well", last.shared)
        .then(
            "These processes have inherited the sockets across fork() and exec(): all have to close them; set FD_CLOEXEC (SOCK_CLOEXEC of accept4())",
            None,
        )
}
