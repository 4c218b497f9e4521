//! The features of this machine, and the handling of tests that it cannot run.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::process::tool;

/// The `tcptrace` binary under test: `TCPTRACE_BIN`, or the newest that cargo built beside this test.
pub fn tcptrace() -> PathBuf {
    if let Some(path) = env::var_os("TCPTRACE_BIN") {
        return PathBuf::from(path);
    }
    // target/<profile>/deps/<test>
    let test = env::current_exe().expect("path of the running test");
    let profile = test.parent().and_then(Path::parent).expect("the test is in target/<profile>/deps");
    let target = profile.parent().expect("the profile is in target");
    [profile.join("tcptrace"), target.join("release/tcptrace")]
        .into_iter()
        .max_by_key(|path| path.metadata().and_then(|file| file.modified()).ok())
        .filter(|path| path.exists())
        .expect("no tcptrace binary: run `cargo xtask test`, or set TCPTRACE_BIN")
}

/// A copy of [`tcptrace`] in `folder`, where every user can run it: the build directory may be private.
pub fn public_copy(folder: &Path) -> PathBuf {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions");
    let copy = folder.join("tcptrace");
    // Another process makes the copy: if this process had the file open for writing, a child started meanwhile would
    // keep it busy.
    tool("cp", [&tcptrace(), &copy]);
    copy
}

/// A program of this package: at the path where cargo built it, or on the PATH if the tests run elsewhere.
pub fn helper(built: &str) -> PathBuf {
    let path = Path::new(built);
    let directories = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&directories).filter_map(|place| Some(place.join(path.file_name()?)));
    std::iter::once(path.to_owned())
        .chain(places)
        .find(|path| path.exists())
        .unwrap_or_else(|| path.to_owned())
}

/// Whether this process may trace and make network namespaces; otherwise reports that `name` is skipped.
pub fn is_root(name: &str) -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        skip(name, "needs root");
    }
    root
}

/// Reports on standard error, past the test harness, that `name` cannot run here.
///
/// # Panics
/// Under `TCPTRACE_REQUIRE_ALL=1`, unless `TCPTRACE_ALLOW_SKIP` lists `name`.
pub fn skip(name: &str, reason: &str) {
    let required = requires_all();
    let allowed = env::var("TCPTRACE_ALLOW_SKIP").unwrap_or_default();
    let allowed = allowed.split(',').any(|allowed| allowed.trim() == name);
    assert!(!required || allowed, "{name} cannot run here: {reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {name}: {reason}");
}

/// Whether a test that cannot run here is a failure.
pub fn requires_all() -> bool {
    env::var("TCPTRACE_REQUIRE_ALL").is_ok_and(|value| value == "1")
}

/// The largest difference between the times that two programs take of one event. The programs run shortly after each
/// other, but this machine may be busy or emulated.
pub fn tolerance_us() -> u64 {
    env::var("TCPTRACE_TOLERANCE_US").map_or(300, |value| value.parse().expect("microseconds"))
}

/// Whether this machine is emulated, or as slow as an emulated one.
pub fn is_slow() -> bool {
    tolerance_us() >= 10_000
}

/// The hook that a test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `tp_btf/inet_sock_set_state`.
    TpBtf,
    /// `tracepoint/sock/inet_sock_set_state`.
    Tracepoint,
}

impl Hook {
    /// Both hooks.
    pub const ALL: [Self; 2] = [Self::TpBtf, Self::Tracepoint];

    /// The value of `--hook`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// Makes two tests of each function, one for each hook: `both_hooks!(churn)` gives `churn::tp_btf` and
/// `churn::tracepoint`. The function's arguments are the [`Hook`] and the name of the test.
#[macro_export]
macro_rules! both_hooks {
    ($($function:ident),* $(,)?) => {$(
        mod $function {
            #[test]
            fn tp_btf() {
                super::$function($crate::machine::Hook::TpBtf, concat!(stringify!($function), "::tp_btf"));
            }

            #[test]
            fn tracepoint() {
                let name = concat!(stringify!($function), "::tracepoint");
                super::$function($crate::machine::Hook::Tracepoint, name);
            }
        }
    )*};
}

/// Major and minor number of the running kernel.
pub fn release() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().expect("a number"));
    (numbers.next().expect("a major number"), numbers.next().expect("a minor number"))
}
