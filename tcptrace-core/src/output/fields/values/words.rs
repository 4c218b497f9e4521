//! Values that are one of a few words.

use tcptrace_common::Level as Rate;

use crate::{
    diagnosis::report::Verdict,
    model::{
        close::{Cause, Role},
        finding::{Level, Severity},
        half_open::{End, Source, What},
        owner::Provenance,
        record::Phase,
        scan::By,
        socket::Kind,
        transition::Origin,
    },
    output::fields::{
        schema::{Definitions, Schema},
        value::{Value, in_quotes},
    },
};

/// One of a few words, which need no escaping.
pub(in crate::output) trait Word {
    /// All words.
    const WORDS: &'static [&'static str];

    /// The word for the value.
    fn word(&self) -> &'static str;
}

impl<W: Word> Value for W {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        in_quotes(self, out);
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.word().as_bytes());
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::one_of(W::WORDS.iter().copied())
    }
}

/// Lists all variants, with a word for each variant that has none in the model.
macro_rules! words {
    ($($name:ty: $($variant:ident $(=> $word:literal)?),*;)*) => { $(
        impl Word for $name {
            const WORDS: &'static [&'static str] = &[$(words!(@word $name, $variant $(, $word)?)),*];

            #[inline(always)]
            fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant => const { words!(@word $name, $variant $(, $word)?) }),*
                }
            }
        }
    )* };
    (@word $name:ty, $variant:ident) => { <$name>::$variant.name() };
    (@word $name:ty, $variant:ident, $word:literal) => { $word };
}
words! {
    Role: Client, Server, Listener;
    Provenance: Exact, Inherited, Snapshot;
    Origin: Observed, Inferred;
    Kind: Full, Request, TimeWait;
    By: State, Process, Listener, Peer, Container;
    Severity: Info, Warning, Critical;
    Level: Medium => "medium", High => "high";
    Phase: Begun => "begun", Changed => "changed", Ended => "ended";
    Verdict: Healthy => "healthy", Findings => "findings", Insufficient => "insufficient";
}

impl Word for Cause {
    const WORDS: &'static [&'static str] = &{
        let (mut words, mut index) = ([""; Self::ALL.len()], 0);
        while index < words.len() {
            words[index] = Self::ALL[index].name();
            index += 1;
        }
        words
    };

    #[inline(always)]
    fn word(&self) -> &'static str {
        self.name()
    }
}

impl Word for What {
    const WORDS: &'static [&'static str] =
        &[Self::Begin(Source::Syn).name(), Self::Retransmit.name(), Self::End(End::Unknown).name()];

    fn word(&self) -> &'static str {
        self.name()
    }
}

/// How a half-open connection was noticed, or how it ended.
pub(in crate::output) struct WhatCause(&'static str);

impl WhatCause {
    /// The cause of a change.
    pub(in crate::output) fn of(what: What) -> Option<Self> {
        what.cause().map(Self)
    }
}

impl Word for WhatCause {
    const WORDS: &'static [&'static str] = &{
        let all = [
            What::Begin(Source::Syn),
            What::Begin(Source::Retransmit),
            What::Begin(Source::Poll),
            What::End(End::Completed),
            What::End(End::TimedOut),
            What::End(End::Dropped),
            What::End(End::Unknown),
        ];
        let (mut words, mut index) = ([""; 7], 0);
        while index < words.len() {
            words[index] = all[index].cause().expect("it has one");
            index += 1;
        }
        words
    };

    fn word(&self) -> &'static str {
        self.0
    }
}

/// How much of the stream is shown, by the share of the sockets.
pub(in crate::output) struct Mode(pub(in crate::output) Rate);

impl Word for Mode {
    const WORDS: &'static [&'static str] = &["full", "sampling", "counting"];

    fn word(&self) -> &'static str {
        match self.0.one_in() {
            Some(1) => "full",
            Some(_) => "sampling",
            None => "counting",
        }
    }
}

/// The role of an end of a connection: a listener is no connection.
pub(in crate::output) struct EndRole(pub(in crate::output) Role);

impl Word for EndRole {
    const WORDS: &'static [&'static str] = &[Role::Client.name(), Role::Server.name()];

    fn word(&self) -> &'static str {
        self.0.name()
    }
}

/// The direction of a reset.
pub(in crate::output) enum Direction {
    /// This side sent it.
    Sent,
    /// The peer sent it.
    Received,
}

words! {
    Direction: Sent => "sent", Received => "received";
}
