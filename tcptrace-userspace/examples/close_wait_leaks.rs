//! Prints which programs of this host leak connections: the peer has closed, and the program does not. Needs root.
//!
//! `cargo run --example close_wait_leaks -- 60` watches for a minute.

use std::{error::Error, time::Duration};

use tcptrace::session::{Interest, OnFull, Record, Session, Settings};
use tcptrace_core::{diagnosis::detect, model::record::Phase};

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).unwrap_or_else(|| "60".to_owned()).parse()?;
    let options = detect::Options { only: vec!["close-wait-leak".to_owned()], ..detect::Options::default() };
    let mut plan = Session::live(Settings::default())
        .detect(options)
        .scan_every(Duration::from_secs(2))
        .duration(Duration::from_secs(seconds))
        .notices(|notice| eprintln!("{notice}"));
    let findings = plan.subscribe("leaks", Interest::FINDINGS, OnFull::Count);
    let session = plan.start()?;
    for record in findings {
        let Record::Finding(found) = record else { continue };
        let moment = match found.phase {
            Phase::Begun => "leaks",
            Phase::Changed => "leaks on",
            Phase::Ended => "leaks no more",
        };
        println!("{moment}: {}", found.finding.summary);
    }
    let outcome = session.join()?;
    eprintln!("{} transitions seen, {} lost", outcome.summary.seen(), outcome.summary.lost.total());
    Ok(())
}
