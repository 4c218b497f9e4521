//! The expected result of a scenario, written as the path of each socket.
//!
//! A path is the states that a socket goes through, such as `CLOSE SYN_SENT! ESTABLISHED CLOSE/104`. `!` marks a
//! transition that a process certainly makes itself, by a system call; `/104` is the socket's error at its end.

use crate::{chain::Chain, machine::Hook};

/// The expectation for one socket.
#[derive(Clone, Debug)]
pub struct Expected {
    texts: Vec<String>,
    paths: Vec<Vec<Step>>,
    owner: u32,
}

#[derive(Clone, Debug)]
struct Step {
    state: String,
    by_process: bool,
    error: Option<i64>,
}

/// A socket of the test's own process that takes this path.
pub fn path(text: &str) -> Expected {
    Expected { texts: vec![text.to_owned()], paths: vec![parse(text)], owner: std::process::id() }
}

impl Expected {
    /// An alternative path, where the kernel is free to choose.
    #[must_use]
    pub fn or(mut self, text: &str) -> Self {
        self.texts.push(text.to_owned());
        self.paths.push(parse(text));
        self
    }

    /// The socket belongs to this process.
    #[must_use]
    pub fn of(mut self, pid: u32) -> Self {
        self.owner = pid;
        self
    }

    /// The smallest number of transitions on its paths.
    pub fn transitions(&self) -> u64 {
        self.paths.iter().map(|path| path.len() as u64 - 1).min().unwrap_or(0)
    }

    fn mismatch(&self, chain: &Chain) -> Option<String> {
        let mismatches: Vec<_> =
            self.paths.iter().map_while(|path| mismatch(path, self.owner, chain)).collect();
        (mismatches.len() == self.paths.len()).then(|| mismatches.join("; "))
    }
}

fn parse(text: &str) -> Vec<Step> {
    let step = |word: &str| {
        let (word, error) = match word.split_once('/') {
            Some((word, error)) => (word, Some(error.parse().expect("an errno"))),
            None => (word, None),
        };
        Step { state: word.trim_end_matches('!').to_owned(), by_process: word.ends_with('!'), error }
    };
    text.split_whitespace().map(step).collect()
}

/// The reason why the chain is not this path of a socket of `owner`.
fn mismatch(path: &[Step], owner: u32, chain: &Chain) -> Option<String> {
    let states: Vec<_> = path.iter().map(|step| step.state.as_str()).collect();
    if states != chain.states() {
        return Some(format!("{:?} is not {states:?}", chain.states()));
    }
    // Connecting sockets, listeners and children of a seen listener begin with a known owner.
    let mut known = chain.states().starts_with(&["LISTEN", "SYN_RECV"]);
    for (step, transition) in path[1..].iter().zip(&chain.0) {
        let json = &transition.json;
        known |= step.by_process;
        if known && json["owner"]["pid"] != owner {
            return Some(format!("the owner is not {owner} in {json}"));
        }
        let context = &json["context"];
        let exact = json["owner"]["provenance"] == "exact" && context["pid"] == owner;
        if step.by_process && !(exact && context["in_process"] == true) {
            return Some(format!("process {owner} did not make it itself in {json}"));
        }
        if step.error.is_some_and(|error| json["close"]["error"] != error) {
            return Some(format!("the error is not {:?} in {json}", step.error));
        }
    }
    None
}

/// Asserts that the chains are exactly the expected ones, in any order.
pub fn assert_chains(hook: Hook, mut chains: Vec<Chain>, expected: &[Expected]) {
    let mut missing = Vec::new();
    for expected in expected {
        match chains.iter().position(|chain| expected.mismatch(chain).is_none()) {
            Some(found) => drop(chains.remove(found)),
            None => missing.push(expected),
        }
    }
    let mut faults = Vec::new();
    for expected in &missing {
        let near: Vec<_> = chains.iter().filter_map(|chain| expected.mismatch(chain)).collect();
        faults.push(format!("missing {:?}: {near:#?}", expected.texts));
    }
    for chain in &chains {
        faults.push(format!("unexplained {:?} {:?}", chain.states(), chain.tuple()));
    }
    let faults = faults.join("\n");
    assert!(faults.is_empty(), "{hook:?}: sockets do not take the expected paths:\n{faults}");
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use serde_json::json;

    use super::*;
    use crate::{chain::chains, transition::Transition};

    fn refused(owner: u32, error: i32) -> Vec<Chain> {
        let line = |lport: u16, old: &str, new: &str| {
            let owner = json!({"pid": owner, "provenance": "exact"});
            let context = json!({"pid": owner["pid"], "in_process": true});
            let json = json!({
                "ktime_ns": 1, "laddr": "192.0.2.1", "lport": lport, "raddr": "192.0.2.1", "rport": 80,
                "old_state": old, "new_state": new, "owner": owner, "context": context,
                "close": {"error": error},
            });
            let bare: Transition = serde_json::from_value(json.clone()).expect("a transition");
            Transition { json, ..bare }
        };
        chains(&[line(0, "CLOSE", "SYN_SENT"), line(40_000, "SYN_SENT", "CLOSE")])
    }

    #[test]
    fn the_expected_path_is_accepted_and_no_other() {
        let expected = [path("CLOSE SYN_SENT! CLOSE/111").of(7)];
        assert_eq!(refused(7, 111).len(), 1, "one socket, though its port appears only later");
        assert_chains(Hook::TpBtf, refused(7, 111), &expected);
        for wrong in
            [refused(8, 111), refused(7, 110), Vec::new(), [refused(7, 111), refused(7, 111)].concat()]
        {
            let expected = expected.clone();
            assert!(catch_unwind(|| assert_chains(Hook::TpBtf, wrong, &expected)).is_err());
        }
        let other = [path("CLOSE SYN_SENT! ESTABLISHED CLOSE/111").of(7)];
        assert!(catch_unwind(|| assert_chains(Hook::TpBtf, refused(7, 111), &other)).is_err());
    }
}
