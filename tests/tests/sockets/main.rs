//! `tcptrace sockets`: what it says of the sockets of a namespace is what `ss` says, and what the test knows that it
//! did itself.

mod agreement;
mod churn;
mod command;
mod devices;
mod filters;
mod groups;
mod namespaces;
mod owners;
mod payload;
mod run;
#[cfg(feature = "schemas")]
mod schema;
mod ss;
mod stage;
mod states;
