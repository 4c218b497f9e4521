//! Values that are text.

use std::{fmt, io::Write as _, net::IpAddr};

use tcptrace_common::STATE_NAMES;

use crate::{
    model::{
        flow::Flow,
        state::State,
        text::{Escaped, plain},
    },
    output::{
        fields::{
            schema::{Definitions, Node, Schema},
            value::{Value, in_quotes},
        },
        put,
    },
};

/// A name from outside: escaped as everywhere, and then as JSON needs it; in CSV quoted where RFC 4180, 2 requires it.
pub(in crate::output) struct Name<'a>(pub(in crate::output) &'a [u8]);

impl Value for Name<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        match plain(self.0) {
            Some(plain) if !plain.contains('"') => {
                out.push(b'"');
                out.extend_from_slice(plain.as_bytes());
                out.push(b'"');
            }
            _ => Quoted(&Escaped(self.0).to_string()).json(out),
        }
    }

    fn text(&self, out: &mut Vec<u8>) {
        let start = out.len();
        put::name(out, self.0);
        quote(out, start);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string").about(
            "A name from outside. Control characters, bytes that are not UTF-8, invisible and direction-changing characters \
             appear as \\xNN, a backslash as two.",
        )
    }
}

/// The name of a thread.
pub(in crate::output) struct Comm<'a>(pub(in crate::output) &'a [u8]);

impl Value for Comm<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Name(self.0).json(out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        Name(self.0).text(out);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        let schema = Schema::of_type("string").with("maxLength", 60).about(
            "Name of a thread, at most 15 bytes as the kernel keeps it. Control characters, bytes that are not UTF-8, \
             invisible and direction-changing characters appear as \\xNN, a backslash as two.",
        );
        definitions.refer("comm", schema)
    }
}

/// Puts a CSV cell, which begins at `start`, in quotes where it needs them (RFC 4180).
pub(in crate::output) fn quote(out: &mut Vec<u8>, start: usize) {
    if out[start..].iter().any(|byte| matches!(byte, b',' | b'"')) {
        let text = String::from_utf8_lossy(&out[start..]).replace('"', "\"\"");
        out.truncate(start);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Text that tcptrace made.
pub(in crate::output) struct Quoted<'a>(pub(in crate::output) &'a str);

impl Value for Quoted<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        drop(serde_json::to_writer(out, self.0));
    }

    fn text(&self, out: &mut Vec<u8>) {
        Name(self.0.as_bytes()).text(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string")
    }
}

/// A value by its [`fmt::Display`], which needs no escaping.
pub(in crate::output) struct Shown<T>(pub(in crate::output) T);

impl<T: fmt::Display> Value for Shown<T> {
    fn json(&self, out: &mut Vec<u8>) {
        in_quotes(self, out);
    }

    fn text(&self, out: &mut Vec<u8>) {
        drop(write!(out, "{}", self.0));
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string")
    }
}

/// A time of day.
pub(in crate::output) struct Time<'a>(pub(in crate::output) &'a str);

impl Value for Time<'_> {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        in_quotes(self, out);
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        let schema = Schema::of_type("string")
            .with("format", "date-time")
            .with("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$")
            .about(
                "Time of day, RFC 3339 in UTC with nine digits of nanoseconds. Derived from ktime_ns by one calibration when \
                 tcptrace starts, so later steps of the system clock do not show.",
            );
        definitions.refer("time", schema)
    }
}

impl Value for IpAddr {
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        put::address(out, *self);
        out.push(b'"');
    }

    fn text(&self, out: &mut Vec<u8>) {
        put::address(out, *self);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        let schema = Schema::of_type("string")
            .with("anyOf", ["ipv4", "ipv6"].map(|format| Node::Map(vec![("format".to_owned(), format.into())])).to_vec())
            .about(
                "IPv4 in dotted form, IPv6 by RFC 5952. An IPv6 socket that talks IPv4 shows the IPv4 address.",
            );
        definitions.refer("address", schema)
    }
}

/// The IP version of a flow.
pub(in crate::output) struct Family<'a>(pub(in crate::output) &'a Flow);

impl Value for Family<'_> {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        put::number(out, self.0.family());
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        self.json(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::one_of([4, 6])
    }
}

impl Value for State {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        put::state(out, *self);
        out.push(b'"');
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        put::state(out, *self);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        let names = STATE_NAMES[1..].iter().map(|name| (*name).into()).collect::<Vec<Node>>();
        let other = Node::Map(vec![("pattern".to_owned(), "^STATE_[0-9]{1,3}$".into())]);
        let schema = Schema::of_type("string")
            .with("anyOf", vec![Node::Map(vec![("enum".to_owned(), Node::List(names))]), other])
            .about(
                "The kernel's name without TCP_ (include/net/tcp_states.h). STATE_n is a number that this version of tcptrace \
                 has no name for.",
            );
        definitions.refer("state", schema)
    }
}
