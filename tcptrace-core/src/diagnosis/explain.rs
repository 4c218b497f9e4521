//! `tcptrace explain`: the meaning of a state, a finding or a cause, from the same pages as the project's documents.

mod causes;

use std::{fmt::Write as _, str::FromStr as _};

use crate::{
    diagnosis::detect::REGISTRY,
    model::{close::Cause, state::State},
};

/// The pages about findings, by their kinds.
const PAGES: [(&str, &str); 18] = [
    ("syn-flood", include_str!("../../../docs/findings/syn-flood.md")),
    ("accept-queue-overflow", include_str!("../../../docs/findings/accept-queue-overflow.md")),
    ("nobody-accepts", include_str!("../../../docs/findings/nobody-accepts.md")),
    ("stalled", include_str!("../../../docs/findings/stalled.md")),
    ("unreachable-destination", include_str!("../../../docs/findings/unreachable-destination.md")),
    ("connection-refused", include_str!("../../../docs/findings/connection-refused.md")),
    ("outbound-scan", include_str!("../../../docs/findings/outbound-scan.md")),
    ("phantom-established", include_str!("../../../docs/findings/phantom-established.md")),
    ("close-wait-leak", include_str!("../../../docs/findings/close-wait-leak.md")),
    ("fin-wait1-stuck", include_str!("../../../docs/findings/fin-wait1-stuck.md")),
    ("fin-wait2-stuck", include_str!("../../../docs/findings/fin-wait2-stuck.md")),
    ("last-ack-stuck", include_str!("../../../docs/findings/last-ack-stuck.md")),
    ("closing-pileup", include_str!("../../../docs/findings/closing-pileup.md")),
    ("port-exhaustion", include_str!("../../../docs/findings/port-exhaustion.md")),
    ("time-wait-exhaustion", include_str!("../../../docs/findings/time-wait-exhaustion.md")),
    ("address-in-use", include_str!("../../../docs/findings/address-in-use.md")),
    ("unexpected-listener", include_str!("../../../docs/findings/unexpected-listener.md")),
    ("reset-storm", include_str!("../../../docs/findings/reset-storm.md")),
];

/// The pages about states, by their names.
const STATES: [(State, &str); 12] = [
    (State::CLOSE, include_str!("../../../docs/states/close.md")),
    (State::LISTEN, include_str!("../../../docs/states/listen.md")),
    (State::SYN_SENT, include_str!("../../../docs/states/syn_sent.md")),
    (State::SYN_RECV, include_str!("../../../docs/states/syn_recv.md")),
    (State::NEW_SYN_RECV, include_str!("../../../docs/states/new_syn_recv.md")),
    (State::ESTABLISHED, include_str!("../../../docs/states/established.md")),
    (State::FIN_WAIT1, include_str!("../../../docs/states/fin_wait1.md")),
    (State::FIN_WAIT2, include_str!("../../../docs/states/fin_wait2.md")),
    (State::CLOSING, include_str!("../../../docs/states/closing.md")),
    (State::TIME_WAIT, include_str!("../../../docs/states/time_wait.md")),
    (State::CLOSE_WAIT, include_str!("../../../docs/states/close_wait.md")),
    (State::LAST_ACK, include_str!("../../../docs/states/last_ack.md")),
];

const DIAGRAM: &str = "
                         CLOSE
        listen()  |                 |  connect(): SYN out
                  v                 v
               LISTEN            SYN_SENT
  SYN in, SYN-ACK |                 |  SYN-ACK in, ACK out
              out v                 |
         NEW_SYN_RECV               |
           ACK in |                 |
                  v                 |
              SYN_RECV              |
                  |                 v
                  +--------> ESTABLISHED
       close(): FIN out  |           |  FIN in, ACK out
                         v           v
                    FIN_WAIT1     CLOSE_WAIT
   FIN in,  |    ACK in  |           |  close(): FIN out
   ACK out  v            v           v
      CLOSING        FIN_WAIT2    LAST_ACK
    ACK in  |    FIN in, |           |  ACK in
            |    ACK out v           v
            +-----> TIME_WAIT ---> CLOSE
                     60 seconds
";

/// The page of a state, a finding or a cause, as Markdown without links; `None` for any other word.
pub fn explain(word: &str) -> Option<String> {
    let word = word.trim().to_lowercase();
    if let Ok(state) = State::from_str(&word) {
        return STATES.iter().find(|(known, _)| *known == state).map(|(_, page)| (*page).to_owned());
    }
    // The spelling decides: address_in_use is a cause, and address-in-use a finding.
    let page = || PAGES.iter().find(|(id, _)| *id == word).map(|(_, page)| (*page).to_owned());
    cause(&word).or_else(page)
}

/// The states and the transitions between them, and all other words that have a page.
pub fn overview() -> String {
    let mut text = DIAGRAM.trim_start_matches('\n').to_owned();
    let states: Vec<&str> = STATES.iter().filter_map(|(state, _)| state.name()).collect();
    let findings: Vec<&str> = REGISTRY.iter().flat_map(|entry| entry.ids).copied().collect();
    let causes: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
    for (what, names) in [("States", states), ("Findings", findings), ("Causes", causes)] {
        let _ = writeln!(text, "\n{what}: {}", names.join(", "));
    }
    text
}

/// The page about a cause.
fn cause(name: &str) -> Option<String> {
    let causes::Page { cause, meaning, evidence } =
        causes::PAGES.iter().find(|page| page.cause.name() == name)?;
    let words = cause.text();
    Some(format!("# {name}\n\nIn words: {words}\n\n{meaning}.\n\nConcluded from: {evidence}.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_has_its_page_and_no_other_has() {
        let mut ids: Vec<&str> = REGISTRY.iter().flat_map(|entry| entry.ids).copied().collect();
        let mut pages: Vec<&str> = PAGES.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        pages.sort_unstable();
        assert_eq!(ids, pages);
        for (id, page) in PAGES {
            assert!(page.starts_with(&format!("# {id}\n")), "{id}");
            for heading in ["Meaning", "Detection", "Similar cases", "Confirm", "Fix", "Background"] {
                assert!(page.contains(&format!("\n## {heading}\n")), "{id}: {heading}");
            }
            assert!(page.contains("RFC 9293"), "{id}");
        }
    }

    #[test]
    fn every_cause_has_its_page_and_its_row() {
        let rows = include_str!("../../../docs/output.md");
        let causes: Vec<Cause> = causes::PAGES.iter().map(|page| page.cause).collect();
        assert!(Cause::ALL.iter().all(|cause| causes.contains(cause)));
        assert_eq!(causes.len(), Cause::ALL.len());
        for causes::Page { cause, meaning, evidence } in causes::PAGES {
            let row = format!("\n| `{}` | {} | {meaning} | {evidence} |\n", cause.name(), cause.text());
            assert!(rows.contains(&row), "docs/output.md lacks{row}");
        }
    }

    /// Each row is shown alone here, without the one above it.
    #[test]
    fn no_row_leans_on_another() {
        for cause in Cause::ALL {
            let text = explain(cause.name()).unwrap_or_else(|| panic!("{}", cause.name()));
            for odd in ["as above", "the same", "without it", "that time", " did."] {
                assert!(!text.contains(odd), "{odd}: {text}");
            }
        }
    }

    #[test]
    fn no_page_has_links() {
        let findings = REGISTRY.iter().flat_map(|entry| entry.ids).copied();
        let states = (1..=11).filter_map(|number| State(number).name());
        for word in findings.chain(states).chain(Cause::ALL.iter().map(|cause| cause.name())) {
            let text = explain(word).unwrap_or_else(|| panic!("{word}"));
            assert!(!text.contains("]("), "{text}");
        }
    }

    #[test]
    fn states_and_causes() {
        for number in (1..=12).filter(|number| *number != 12) {
            let name = State(number).name().expect("a state");
            let text = explain(name).unwrap_or_else(|| panic!("{name}"));
            assert!(text.starts_with(&format!("# {name}\n")) && text.len() > 80, "{text}");
        }
        assert_eq!(explain("close-wait"), explain("CLOSE_WAIT"));
        for cause in Cause::ALL {
            let text = explain(cause.name()).unwrap_or_else(|| panic!("{}", cause.name()));
            assert!(text.contains("Concluded from: "), "{text}");
        }
        assert_eq!(explain("nonsense"), None);
        assert!(explain("TIME_WAIT").is_some_and(|text| text.contains("Both are inferred (`~>`)")));
        assert!(overview().starts_with("    "), "the diagram is not cut");
        assert!(overview().contains("CLOSE_WAIT, ") && overview().contains("close-wait-leak"));
    }
}
