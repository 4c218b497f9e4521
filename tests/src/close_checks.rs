//! The ends of a scenario's sockets: the output of `trace` and `life`, compared with the steps of the scenario, with
//! each other, and with tracefs.

use std::fmt;

use serde_json::Value;

use crate::{
    chain::{Chain, chains},
    clocks::{Clocks, HELD_UP_NS},
    contradictions::contradiction,
    fixture::{Fixture, Ports},
    machine::{self, Hook, is_root, is_slow},
    process::at_once,
    replay::{Obstacle, play_until_comparable},
    resets::{SentReset, SentResets},
    tracer::{Report, Tracer},
    transition::Transition,
};

/// Causes that rest on a signal which the kernel sends after the transition to CLOSE, in the same call. A slow machine
/// can take so long in between that the trace reports the end first: then the cause is unknown.
const BY_SIGNAL: [&str; 4] = ["reset_unread", "reset_linger", "reset_disconnect", "killed"];

/// The end of a socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    role: String,
    /// The state that the socket left. An expected end has several where the kernel is free to choose:
    /// `FIN_WAIT2|CLOSING`.
    state: String,
    cause: String,
    /// The end that is expected instead if the tracer does not know that a process ends.
    unless_exits_are_known: Option<Box<Self>>,
}

/// Parses an end such as `client ESTABLISHED reset_by_peer`; `-` is an unknown value.
pub fn end(text: &str) -> End {
    let mut words = text.split(' ').map(str::to_owned);
    let mut next = || words.next().expect("role, state and cause");
    End { role: next(), state: next(), cause: next(), unless_exits_are_known: None }
}

/// An end that the end of a process causes, and the end that the tracer reports if it does not know that the process
/// ends.
pub fn end_by_exit(exiting: &str, otherwise: &str) -> End {
    End { unless_exits_are_known: Some(Box::new(end(otherwise))), ..end(exiting) }
}

/// Whether the tracer knows that a process ends: by `tp_btf`, if a program may read the current task (Linux 5.11).
fn knows_exits(hook: Hook) -> bool {
    hook == Hook::TpBtf && machine::release() >= (5, 11)
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.role, self.state, self.cause)
    }
}

impl End {
    fn told(role: &Value, state: &str, cause: &Value) -> Self {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (role, cause) = (word(role), word(cause));
        Self { role, state: state.to_owned(), cause, unless_exits_are_known: None }
    }

    /// The end that is expected from this hook.
    fn by(&self, hook: Hook) -> &Self {
        self.unless_exits_are_known.as_deref().filter(|_| !knows_exits(hook)).unwrap_or(self)
    }

    fn matches(&self, told: &Self) -> bool {
        let is_late = told.cause == "-" && is_slow() && BY_SIGNAL.contains(&self.cause.as_str());
        self.role == told.role
            && (self.cause == told.cause || is_late)
            && self.state.split('|').any(|state| state == told.state)
    }
}

/// The results of a scenario.
#[derive(Debug)]
pub struct Told {
    /// Transitions to CLOSE.
    pub ends: Vec<Transition>,
    /// Lines of `life`.
    pub connections: Vec<Value>,
    /// Every socket according to tracefs.
    pub witnessed: Vec<Chain>,
}

/// Runs a scenario once in a new namespace, traced by `trace` and `life`, each by both hooks at once. Compares all ends
/// that each reports with the ends that the scenario returns, in any order. `name` is the test's.
pub fn ends(name: &str, body: impl FnOnce(Ports) -> Vec<End> + Clone + Send + 'static) {
    told(name, |ports| (body(ports), ()));
}

/// As [`ends`], and returns the results by each hook and the additional result of the scenario; `None` where the
/// scenario cannot run.
pub fn told<R: Send + 'static>(
    name: &str,
    body: impl FnOnce(Ports) -> (Vec<End>, R) + Clone + Send + 'static,
) -> Option<([Told; 2], R)> {
    is_root(name).then(|| play_until_comparable(name, || play(body.clone())))
}

fn play<R: Send + 'static>(
    body: impl FnOnce(Ports) -> (Vec<End>, R) + Send + 'static,
) -> Result<([Told; 2], R), Obstacle> {
    let world = Fixture::new();
    let resets = SentResets::start(world.slot.number());
    let netns = world.namespace.inode().to_string();
    let tracers =
        at_once(Hook::ALL, |hook| Tracer::start_with_life(hook, &["-o", "json", "--netns", &netns]));
    let ports = world.ports();
    let (expected, known) = world.namespace.run(move || body(ports));
    world.settle(2 * expected.len() as u64);
    let reports = at_once(tracers, |both| at_once(both, Tracer::stop));
    world.check_all_seen(&reports.iter().flatten().collect::<Vec<_>>())?;

    let (witnessed, resets) = (world.tracefs.transitions(), resets.map(|resets| resets.all()));
    let mut clocks = Clocks::default();
    let [by_tp_btf, by_tracepoint] = &reports;
    let by_hook = [(Hook::TpBtf, by_tp_btf), (Hook::Tracepoint, by_tracepoint)].map(|(hook, reports)| {
        println!("by {}:", hook.name());
        let told = Told::of(reports, &witnessed);
        assert_ends(hook, &told.ends, &expected);
        told.assert_consistent(resets.as_deref(), &mut clocks);
        told
    });
    // The clocks come last: a run is repeated only if all other checks pass.
    clocks.check()?;
    Ok((by_hook, known))
}

fn connections(life: &Report) -> Vec<Value> {
    let mut connections = life.of_type("connection");
    connections.sort_by_key(|line| line["ktime_ns"].as_u64());
    connections
}

fn assert_ends(hook: Hook, told: &[Transition], expected: &[End]) {
    let mut left: Vec<End> = told
        .iter()
        .map(|told| End::told(&told.json["close"]["role"], &told.old, &told.json["close"]["cause"]))
        .collect();
    let mut missing = Vec::new();
    for expected in expected.iter().map(|expected| expected.by(hook)) {
        match left.iter().position(|told| expected.matches(told)) {
            Some(found) => drop(left.remove(found)),
            None => missing.push(expected.to_string()),
        }
    }
    let left: Vec<_> = left.iter().map(End::to_string).collect();
    let lines: Vec<_> = told.iter().map(|told| told.json.to_string()).collect();
    assert!(
        missing.is_empty() && left.is_empty(),
        "{hook:?}: missing {missing:#?}, unexplained {left:#?} in\n{}",
        lines.join("\n")
    );
}

impl Told {
    fn of([trace, life]: &[Report; 2], witnessed: &[Transition]) -> Self {
        trace.assert_lossless();
        life.assert_lossless();
        Self {
            ends: trace.transitions().into_iter().filter(|transition| transition.new == "CLOSE").collect(),
            connections: connections(life),
            witnessed: chains(witnessed),
        }
    }

    /// Checks that `trace`, `life` and tracefs agree, and that no end contradicts itself. `resets`: the resets, where
    /// the kernel gives their reasons.
    fn assert_consistent(&self, resets: Option<&[SentReset]>, clocks: &mut Clocks) {
        for end in &self.ends {
            assert_eq!(contradiction(&end.json), None, "{}", end.json);
        }
        self.assert_lives(clocks);
        self.assert_connections(clocks);
        if let Some(resets) = resets {
            self.assert_reset_reasons(resets);
        } else {
            let has_none = |end: &Transition| end.json["close"]["reset_reason"].is_null();
            assert!(self.ends.iter().all(has_none), "no reasons");
        }
    }

    /// The socket with this end, from tracefs' transitions.
    fn witness(&self, end: &Transition, clocks: &mut Clocks) -> &Chain {
        let Transition { ktime_ns, tuple, old, .. } = end;
        let is_same =
            |chain: &&Chain| chain.tuple() == *tuple && chain.0.last().is_some_and(|last| last.old == *old);
        let distance = |chain: &&Chain| chain.0.last().map(|last| last.ktime_ns.abs_diff(*ktime_ns));
        let nearest = self.witnessed.iter().filter(is_same).min_by_key(distance);
        let chain = nearest.unwrap_or_else(|| {
            let all: Vec<_> = self.witnessed.iter().map(|chain| (chain.tuple(), chain.states())).collect();
            panic!("tracefs knows no socket that is {tuple:?} and ends in {old} at {ktime_ns}: {all:#?}")
        });
        let witnessed_ns = chain.0.last().map_or(0, |last| last.ktime_ns);
        clocks.compare(*ktime_ns / 1_000, witnessed_ns / 1_000, &format_args!("the end of {tuple:?}"));
        chain
    }

    /// Checks the time from the first transition to the last against tracefs.
    fn assert_lives(&self, clocks: &mut Clocks) {
        for end in &self.ends {
            let chain = self.witness(end, clocks);
            clocks.assert_span(&end.json["close"]["life_us"], chain.0[0].ktime_ns, end.ktime_ns, &end.json);
        }
    }

    /// Checks that `life` has a line for each socket that is no listener, with the values of `trace`, and that the time
    /// in each state is tracefs'.
    fn assert_connections(&self, clocks: &mut Clocks) {
        let ends: Vec<_> = self
            .ends
            .iter()
            .filter(|end| end.json["close"]["role"] != "listener")
            .map(|end| &end.json)
            .collect();
        assert_eq!(self.connections.len(), ends.len(), "a line each of {ends:#?}: {:#?}", self.connections);
        for line in &self.connections {
            let common = ["cookie", "netns", "laddr", "lport", "raddr", "rport", "old_state"];
            let at_close =
                ["error", "bytes_acked", "bytes_received", "retransmits", "cause", "reset_reason", "role"];
            let same = |end: &&&Value| {
                common.iter().all(|field| end[field] == line[field])
                    // Other fields of the owner depend on whether tcptrace read the process before it ended.
                    && end["owner"]["pid"] == line["owner"]["pid"]
                    && at_close.iter().all(|field| end["close"][field] == line[field])
            };
            assert!(ends.iter().any(|end| same(&end)), "no end is {line} in {ends:#?}");
            let bare: Transition = serde_json::from_value(as_transition(line)).expect("ends and a time");
            let chain = self.witness(&bare, clocks);
            clocks.assert_span(&line["life_us"], chain.0[0].ktime_ns, bare.ktime_ns, line);
            let states = line["states_us"].as_object().expect("states");
            let stays = chain.0.windows(2);
            assert_eq!(states.len(), stays.len(), "each state that it left: {line}");
            for stay in stays {
                clocks.assert_span(&states[&stay[1].old], stay[0].ktime_ns, stay[1].ktime_ns, line);
            }
        }
    }

    /// Checks that the kernel's reason for a reset is that of tracefs' own event, and that there is one for each reset
    /// that was sent as the socket ended.
    fn assert_reset_reasons(&self, sent: &[SentReset]) {
        for end in &self.ends {
            let told = end.json["close"]["reset_reason"].as_str();
            let witnessed: Vec<&str> = sent
                .iter()
                .filter(|reset| {
                    reset.tuple == end.tuple && reset.ktime_ns.abs_diff(end.ktime_ns) < HELD_UP_NS
                })
                .map(|reset| reset.reason.as_str())
                .collect();
            match told {
                Some(told) => {
                    assert!(witnessed.contains(&told), "{witnessed:?} is not {told} of {}", end.json);
                }
                None => {
                    assert!(witnessed.is_empty(), "{witnessed:?} is missing in {}", end.json);
                }
            }
        }
    }
}

/// Converts a line of `life` to the transition to CLOSE that it describes.
fn as_transition(line: &Value) -> Value {
    let mut line = line.clone();
    line["new_state"] = Value::from("CLOSE");
    line
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use serde_json::json;

    use super::*;

    fn closed(cause: &str) -> Transition {
        let json = json!({
            "ktime_ns": 1, "laddr": "192.0.2.1", "lport": 40_000, "raddr": "192.0.2.1", "rport": 80,
            "old_state": "CLOSING", "new_state": "CLOSE", "close": {"role": "client", "cause": cause},
        });
        let bare: Transition = serde_json::from_value(json.clone()).expect("a transition");
        Transition { json, ..bare }
    }

    #[test]
    fn the_expected_end_is_accepted_and_no_other() {
        let expected = [end("client FIN_WAIT2|CLOSING active_close")];
        assert_ends(Hook::TpBtf, &[closed("active_close")], &expected);
        for wrong in [vec![], vec![closed("killed")], vec![closed("active_close"), closed("active_close")]] {
            let expected = expected.clone();
            assert!(catch_unwind(|| assert_ends(Hook::TpBtf, &wrong, &expected)).is_err());
        }
    }
}
