//! `--on-finding`: a program that is told of each finding.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use tcptrace_core::{
    model::finding::{Finding, Severity},
    output::findings,
};

/// From one start to the next, so that a storm of findings does not become one of processes.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Starts in one watch.
const AT_MOST: usize = 20;
/// How long they may take once the watch is over.
const GRACE: Duration = Duration::from_secs(10);

/// The program, and what it was told.
pub(super) struct OnFinding {
    program: PathBuf,
    least: Severity,
    told: HashSet<String>,
    last: Option<Instant>,
    running: Vec<Child>,
}

impl OnFinding {
    /// Findings of `least` or more severity are told.
    pub(super) fn new(program: PathBuf, least: Severity) -> Self {
        Self { program, least, told: HashSet::new(), last: None, running: Vec::new() }
    }

    /// Tells of the first one that is new, unless it was told of another one a moment ago: then the next call does.
    pub(super) fn tell(&mut self, findings: &[Finding]) {
        self.running.retain_mut(|child| !ended(child));
        let too_soon = self.last.is_some_and(|last| last.elapsed() < AT_MOST_EVERY);
        if too_soon {
            return;
        }
        let Some(finding) = self.untold(findings) else { return };
        self.told.insert(finding.key());
        self.last = Some(Instant::now());
        match self.start(finding) {
            Ok(child) => self.running.push(child),
            Err(error) => complain(&format!("{}: {error}", self.program.display())),
        }
    }

    /// The first one that it is yet to be told of.
    fn untold<'a>(&self, findings: &'a [Finding]) -> Option<&'a Finding> {
        let is_new =
            |finding: &&Finding| finding.severity >= self.least && !self.told.contains(&finding.key());
        findings.iter().find(is_new).filter(|_| self.told.len() < AT_MOST)
    }

    /// Tells of those that are left, and waits for all to end.
    pub(super) fn finish(mut self, findings: &[Finding]) {
        while self.untold(findings).is_some() {
            self.tell(findings);
            sleep(Duration::from_millis(50));
        }
        let deadline = Instant::now() + GRACE;
        while !self.running.is_empty() && Instant::now() < deadline {
            self.running.retain_mut(|child| !ended(child));
            sleep(Duration::from_millis(20));
        }
        for mut child in self.running {
            complain("it does not end, and is ended");
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, without a shell: the kind as its argument, the finding as JSON on its standard input.
    fn start(&self, finding: &Finding) -> io::Result<Child> {
        // Its output is for people; ours may be for a program.
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let mut command = Command::new(&self.program);
        command.arg(finding.id).stdin(Stdio::piped()).stdout(Stdio::from(stderr));
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let json = findings::one(finding);
            // A pipe takes 64 KiB, and one that does not read is free to do so: this must not wait for it. The thread ends
            // when it reads, or when it has ended; it will be ended itself once the watch is over.
            let tell = move || drop(stdin.write_all(json.as_bytes()));
            let thread = thread::Builder::new().name("on-finding".to_owned()).spawn(tell);
            if let Err(error) = thread {
                complain(&format!("it did not get what was found: {error}"));
            }
        }
        Ok(child)
    }
}

/// Whether it has ended; says so when it failed.
fn ended(child: &mut Child) -> bool {
    match child.try_wait() {
        Ok(None) => false,
        Ok(Some(status)) if status.success() => true,
        Ok(Some(status)) => {
            complain(&format!("it ended with {status}"));
            true
        }
        Err(error) => {
            complain(&error.to_string());
            true
        }
    }
}

fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "tcptrace: --on-finding: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_core::model::finding::{Confidence, Harm};

    /// More than the pipe takes, to one that does not read it.
    #[test]
    fn one_that_does_not_read_holds_nothing_up() {
        let much = "x".repeat(1 << 20);
        let seconds = "5";
        let finding = Finding::new(seconds, Confidence::HIGH, much)
            .harms(Severity::Warning, Harm::new(1, "tests", "nobody"))
            .about("a test");
        let mut on_finding = OnFinding::new("sleep".into(), Severity::Warning);
        let begun = Instant::now();
        on_finding.tell(&[finding]);
        assert!(begun.elapsed() < Duration::from_secs(4), "it waits for the program to end");
        assert_eq!(on_finding.running.len(), 1);
        for child in &mut on_finding.running {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }
}
