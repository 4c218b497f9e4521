//! Real daemons under tcptrace. In normal work there is no finding, and owners and counts match the daemon's own
//! statistics. A fault is found with the process that causes it.
//!
//! Each daemon has a file. A [`Situation`] runs at a [`place::Place`]: a namespace of servers, which tcptrace watches,
//! and one of clients that share an address. `cargo xtask daemons` runs the situations.

pub mod checks;
pub mod client;
pub mod daemon;
pub mod ended;
pub mod habit;
mod haproxy;
mod haproxy_backends;
mod haproxy_limits;
pub mod interrupt;
mod memcached;
mod nginx;
mod nginx_faults;
mod nginx_work;
mod node;
pub mod place;
mod postgres;
mod postgres_limits;
mod redis;
mod redis_faults;
pub mod run;
mod sshd;
pub mod watch;

use std::{env, fs, path::PathBuf};

use place::Place;

/// An action of a daemon, or an action on a daemon.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The daemon, and the event.
    pub name: &'static str,
    /// Whether there is a fault.
    pub kind: Kind,
    /// Programs that it needs.
    pub needs: &'static [&'static str],
    /// Runs the situation; returns the comparisons, or those that failed.
    pub play: fn(&Place) -> Result<String, String>,
}

/// Whether there is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no fault.
    Honest,
    /// A process is at fault, or is made to fail.
    Fault,
}

impl Situation {
    const fn honest(name: &'static str, needs: &'static [&'static str], play: Play) -> Self {
        Self { name, kind: Kind::Honest, needs, play }
    }

    const fn fault(name: &'static str, needs: &'static [&'static str], play: Play) -> Self {
        Self { name, kind: Kind::Fault, needs, play }
    }
}

type Play = fn(&Place) -> Result<String, String>;

/// All situations.
pub fn situations() -> Vec<Situation> {
    [
        &nginx::SITUATIONS[..],
        &nginx_work::SITUATIONS,
        &nginx_faults::SITUATIONS,
        &haproxy::SITUATIONS,
        &haproxy_backends::SITUATIONS,
        &haproxy_limits::SITUATIONS,
        &redis::SITUATIONS,
        &redis_faults::SITUATIONS,
        &postgres::SITUATIONS,
        &postgres_limits::SITUATIONS,
        &sshd::SITUATIONS,
        &memcached::SITUATIONS,
        &node::SITUATIONS,
    ]
    .concat()
}

/// The path of a program that was found before the situation began.
fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// The path of a program: on the PATH, in the folders for administration, or in Debian's folder of PostgreSQL.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let postgres = versions.map(|version| version.path().join("bin"));
    let places = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(places)
        .chain(postgres)
        .map(|place| place.join(name))
        .find(|path| path.is_file())
}
