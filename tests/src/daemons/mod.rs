//! Real daemons, watched: in honest work nothing is wrong, owners and counts are what the daemon's own statistics
//! say, and a fault is found with the process that causes it.
//!
//! One file a daemon. A [`Situation`] plays at a [`place::Place`] of its own: a namespace of servers, which is
//! watched, and one of clients that share an address. `cargo xtask daemons` runs them.

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

/// Something that a daemon does, or that is done to it.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The daemon, and what happens.
    pub name: &'static str,
    /// Whether anything is wrong.
    pub kind: Kind,
    /// Programs that it needs.
    pub needs: &'static [&'static str],
    /// Makes it happen; returns what was compared, or what was not as it should be.
    pub play: fn(&Place) -> Result<String, String>,
}

/// Whether anything is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is.
    Honest,
    /// Somebody is at fault, or is made to be.
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

/// All of them.
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

/// Where a program is: on the PATH, among those for administration, or in Debian's folder of PostgreSQL.
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
