//! Watches real daemons: `cargo xtask daemons` builds and runs it.

use std::{env, process::ExitCode};

use tcptrace_tests::daemons::{
    interrupt,
    run::{self, Plan},
    situations,
};

const USAGE: &str = "usage: daemons [NAME...] [--short] [--seconds N] [--at-once N] [--list]
Has daemons work and fail in network namespaces, and compares what tcptrace says (needs root).
  NAME         only situations with this in their name, such as nginx or haproxy/dead
  --short      a quarter of a minute each, not three minutes
  --seconds N  so long each (at least 10)
  --at-once N  so many at a time
  --list       only list them";

/// Three minutes of normal work. A fault shows earlier.
const WHOLE: Plan = Plan { honest: 180, fault: 30, at_once: 5 };
/// More situations at a time, since less of the time is work.
const SHORT: Plan = Plan { honest: 15, fault: 18, at_once: 6 };

fn main() -> ExitCode {
    let (mut plan, mut names, mut lists) = (WHOLE, Vec::new(), false);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        match word.as_str() {
            "--short" => plan = SHORT,
            "--list" => lists = true,
            "--seconds" => match number() {
                Some(seconds @ 10..=3_600) => plan = Plan { honest: seconds, fault: seconds, ..plan },
                _ => return wrong("--seconds: from 10 to 3600"),
            },
            "--at-once" => match number() {
                Some(many @ 1..=32) => plan.at_once = usize::try_from(many).expect("a small number"),
                _ => return wrong("--at-once: from 1 to 32"),
            },
            name if !name.starts_with('-') => names.push(word),
            _ => return wrong(&format!("{word}: no such option")),
        }
    }
    let mut chosen = situations();
    chosen.retain(|one| names.is_empty() || names.iter().any(|name| one.name.contains(name.as_str())));
    if chosen.is_empty() {
        return wrong("there is no such situation: see --list");
    }
    if lists {
        for one in chosen {
            println!("{}", one.name);
        }
        return ExitCode::SUCCESS;
    }
    if !nix::unistd::Uid::effective().is_root() {
        return wrong("needs root");
    }
    interrupt::watch();
    // The line of the situation reports the error.
    std::panic::set_hook(Box::new(|_| {}));
    let (passed, failed, skipped) = run::all(&chosen, plan);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wrong(why: &str) -> ExitCode {
    eprintln!("daemons: {why}\n{USAGE}");
    ExitCode::from(2)
}
