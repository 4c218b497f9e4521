//! Contradictions, which no events can produce: a cause and a reason, an error, a port, or evidence of the same record
//! that exclude each other. These rules are not the rules that conclude causes; each follows from the kernel's
//! behaviour.

use serde_json::Value;

/// A transition to CLOSE in JSON.
struct Ended<'a>(&'a Value);

impl Ended<'_> {
    fn word(&self, field: &str) -> &str {
        self.0["close"][field].as_str().unwrap_or("")
    }

    fn error(&self) -> Option<i64> {
        self.0["close"]["error"].as_i64()
    }

    fn has_error(&self, errors: &[i64]) -> bool {
        self.error().is_none_or(|error| errors.contains(&error))
    }

    fn was(&self, states: &[&str]) -> bool {
        states.iter().any(|state| self.0["old_state"] == *state)
    }

    /// Whether a number of the evidence is known and meets the condition.
    fn number(&self, field: &str, is: impl Fn(u64) -> bool) -> bool {
        self.0["close"]["evidence"][field].as_u64().is_some_and(is)
    }

    /// Whether a fact of the evidence is known and has this value.
    fn fact(&self, field: &str, so: bool) -> bool {
        self.0["close"]["evidence"][field] == so
    }
}

/// A contradiction: the causes, the condition that excludes them, and the reason in words.
type Rule = (&'static [&'static str], fn(&Ended<'_>) -> bool, &'static str);

const RULES: [Rule; 28] = [
    (&["reset_by_peer"], |end| end.word("reset") == "sent", "this side sent the reset"),
    (&["reset_by_peer"], |end| !end.has_error(&[104, 32]), "no error of a reset"),
    (
        &["reset_linger", "reset_unread", "reset_disconnect", "reset_by_kernel"],
        |end| end.word("reset") == "received",
        "the peer sent the reset",
    ),
    (
        &["reset_linger", "reset_unread", "reset_disconnect"],
        |end| !end.has_error(&[0]),
        "an error came first",
    ),
    (&["reset_unread"], |end| end.number("unread", |bytes| bytes == 0), "nothing was unread"),
    (&["reset_unread", "reset_linger"], |end| end.number("shutdown", |bits| bits != 3), "it was not closed"),
    (
        &["reset_linger"],
        |end| end.fact("linger_zero", false) && end.word("reset_reason") != "tcp_abort_on_linger",
        "it lingers",
    ),
    (
        &["reset_linger", "reset_unread", "reset_disconnect"],
        |end| end.fact("repair", true),
        "it sends nothing",
    ),
    (&["repair_close"], |end| end.word("reset") == "sent", "a reset was sent"),
    (&["repair_close"], |end| end.fact("repair", false), "it is not under repair"),
    (&["no_local_port"], |end| end.0["lport"] != 0, "it has a port"),
    (&["ends_in_use"], |end| end.0["lport"] == 0, "it has no port"),
    (&["no_local_port", "ends_in_use"], |end| end.number("segs_out", |count| count > 0), "it sent something"),
    (&["no_local_port", "ends_in_use"], |end| end.fact("deferred", true), "it waits for something to send"),
    (
        &["no_local_port", "ends_in_use", "connect_cancelled", "refused", "connect_timeout"],
        |end| !end.was(&["SYN_SENT"]),
        "it did not connect",
    ),
    (&["net_unreachable"], |end| !end.has_error(&[101]), "nobody said so"),
    (&["refused"], |end| !end.has_error(&[111]), "it was not refused"),
    (
        &["connect_timeout", "keepalive_timeout", "user_timeout", "retransmission_timeout"],
        |end| !end.has_error(&[110]),
        "no time ran out",
    ),
    (&["host_unreachable"], |end| !end.has_error(&[113, 13]), "nobody said so"),
    (&["killed"], |end| !end.has_error(&[103, 0]), "another error"),
    (&["killed"], |end| end.error() == Some(0) && !end.was(&["LISTEN"]), "no error"),
    (
        &[
            "active_close",
            "passive_close",
            "simultaneous_close",
            "process_exited",
            "connect_cancelled",
            "second_child",
        ],
        |end| !end.has_error(&[0]),
        "an error came first",
    ),
    (
        &["active_close", "passive_close", "simultaneous_close", "second_child"],
        |end| end.word("reset") == "sent",
        "a reset ended it",
    ),
    (&["address_in_use", "stopped_listening"], |end| !end.was(&["LISTEN"]), "it did not listen"),
    (&["address_in_use"], |end| end.fact("listened", true), "it has listened"),
    (&["stopped_listening"], |end| end.fact("listened", false), "it never listened"),
    (&["listener_closed", "second_child"], |end| end.word("role") == "client", "it comes from no listener"),
    (&["second_child"], |end| end.fact("bound", false), "its port was given back"),
];

/// The causes that each of the kernel's reasons for a reset leaves possible.
const REASONS: [(&str, &[&str]); 4] = [
    ("tcp_abort_on_close", &["reset_unread", "process_exited"]),
    ("tcp_abort_on_linger", &["reset_linger", "process_exited"]),
    ("tcp_abort_on_memory", &["reset_by_kernel"]),
    ("tcp_keepalive_timeout", &["keepalive_timeout", "user_timeout"]),
];

/// The reason why the cause of this transition to CLOSE is impossible; `None` if there is no contradiction.
pub fn contradiction(transition: &Value) -> Option<String> {
    let end = Ended(transition);
    let cause = end.word("cause");
    if cause.is_empty() {
        return None;
    }
    if end.error().is_none() {
        return Some("whether there was an error is not known".to_owned());
    }
    if let Some((reason, causes)) = REASONS.iter().find(|(reason, _)| *reason == end.word("reset_reason"))
        && !causes.contains(&cause)
    {
        return Some(format!("the kernel's reason is {reason}"));
    }
    let broken = RULES.iter().find(|(causes, is_broken, _)| causes.contains(&cause) && is_broken(&end));
    broken.map(|(_, _, why)| (*why).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_is_told_and_what_is_unknown_is_not() {
        let end = |cause: &str, close: Value| {
            let mut close = close;
            close["cause"] = json!(cause);
            contradiction(&json!({"old_state": "ESTABLISHED", "lport": 80, "close": close}))
        };
        let unread =
            |unread: u64| json!({"error": 0, "reset": "sent", "evidence": {"unread": unread, "shutdown": 3}});
        assert_eq!(end("reset_unread", unread(1)), None);
        assert_eq!(end("reset_unread", unread(0)).as_deref(), Some("nothing was unread"));
        assert_eq!(end("reset_unread", json!({"error": 0, "evidence": null})), None);
        assert_eq!(
            end("reset_by_peer", json!({"error": 104, "reset": "sent"})).as_deref(),
            Some("this side sent the reset")
        );
        assert_eq!(
            end("passive_close", json!({"error": null})).as_deref(),
            Some("whether there was an error is not known")
        );
        let reason = json!({"error": 0, "reset_reason": "tcp_abort_on_close"});
        assert_eq!(end("reset_linger", reason).as_deref(), Some("the kernel's reason is tcp_abort_on_close"));
        assert_eq!(end("no_local_port", json!({"error": 0})).as_deref(), Some("it has a port"));
    }
}
