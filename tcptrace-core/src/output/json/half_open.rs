//! A change of a half-open connection as JSON, written as a transition is: a flood has many of them.

use std::io;

use super::{
    put::{addresses, head, number, optional, optional_word, word},
    transition::owner,
};
use crate::model::half_open::Change;

/// Appends the object, without the end of the line. `time` is RFC 3339.
pub(super) fn write(out: &mut Vec<u8>, time: &str, change: &Change) -> io::Result<()> {
    let connection = &change.connection;
    head(out, "half_open", time, change.ktime_ns);
    word(out, "what", change.what.name());
    optional_word(out, "cause", change.what.cause());
    number(out, "cookie", connection.cookie);
    optional(out, "netns", connection.netns);
    addresses(out, (connection.laddr, connection.lport), (connection.raddr, connection.rport));
    optional(out, "duration_us", change.age_ns.map(|ns| ns / 1_000));
    number(out, "retransmits", change.retransmits);
    number(out, "open", change.open);
    owner(out, change.owner.as_deref())?;
    out.push(b'}');
    Ok(())
}
