//! `tcptrace sockets`: its output about the sockets of a namespace, compared with `ss` and with the steps of the test.

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
