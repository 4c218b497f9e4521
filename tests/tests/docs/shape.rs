//! The shape of a line of output: its words, without the parts that differ between runs.

/// States of TCP, as output shows them.
pub(crate) const STATES: [&str; 13] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "NEW_SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW",
];

/// The shape of a line. Numbers are `N`, states `S`, processes `P`, addresses `A`, names of hosts `H`; a list of
/// similar parts is one part.
pub(crate) fn shape(line: &str) -> String {
    let mut words: Vec<String> = line.split_whitespace().map(word).collect();
    for index in 1..words.len() {
        if words[index - 1] == "Watched" {
            "H".clone_into(&mut words[index]);
        }
    }
    let mut shape = words.join(" ");
    for part in [", N S", ", S -> S N"] {
        while shape.contains(part) {
            shape = shape.replace(part, "");
        }
    }
    // Only some losses include a loss of signals.
    shape = shape.replace(" and N signals here", " here");
    // The counters in this line depend on chance.
    let counters = "Not seen by any event, in network namespace N:";
    if shape.starts_with(counters) { counters.to_owned() } else { shape }
}

/// The shape without the text in parentheses.
pub(crate) fn without_parentheses(shape: &str) -> String {
    let mut depth = 0_usize;
    let mut text = String::new();
    for character in shape.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(character),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The class of a word, with the word's punctuation around it.
fn word(word: &str) -> String {
    let core = word.trim_matches(['(', ')', ',', ';', ':', '.']);
    let class = match core {
        _ if STATES.contains(&core) => "S",
        _ if is_process(core) => "P",
        _ if is_address(core) => "A",
        "seconds" | "minutes" | "hours" | "days" | "years" => "unit",
        _ => return without_numbers(word),
    };
    word.replacen(core, class, 1)
}

fn is_process(word: &str) -> bool {
    let inner = word.strip_suffix(']').and_then(|word| word.split_once('['));
    inner.is_some_and(|(name, pid)| !name.is_empty() && pid.parse::<u32>().is_ok())
}

fn is_address(word: &str) -> bool {
    word.parse::<std::net::SocketAddr>().is_ok() || word.parse::<std::net::IpAddr>().is_ok()
}

/// The word with `N` for each number: a time, a duration, or a part of a word.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    for character in word.chars() {
        if !character.is_ascii_digit() {
            text.push(character);
        } else if !text.ends_with('N') {
            text.push('N');
        }
    }
    let text = text.replace("N.N", "N").replace("N:N:N", "N");
    // A duration is one shape, whether it is `29 s` or `4h53m`.
    if ["NdNh", "NhNm", "NmNs"].contains(&text.as_str()) { "N s".to_owned() } else { text }
}

#[test]
fn lines_of_one_kind_have_one_shape() {
    for (one, other, same) in [
        ("5 seen = 3 delivered in 5.61s", "50002 seen = 17 delivered in 0.10s", true),
        ("5 seen = 3 delivered in 5.61s", "5 seen = 3 printed in 5.61s", false),
        ("  owner      python3[18490]", "  owner  tests-77a[3]", true),
        ("9 sockets: 3 LISTEN, 8 ESTABLISHED", "9 sockets: 3 LISTEN", true),
        ("09:00:01.123 LOST 1 here", "23:59:59.999 LOST 373 here", true),
        ("Watched web-1 for 15.00s", "Watched vm for 4.00s", true),
        ("  evidence   oldest: 4h53m", "  evidence   oldest: 29 s", true),
    ] {
        assert_eq!(shape(one) == shape(other), same, "{} and {}", shape(one), shape(other));
    }
    assert_eq!(without_parentheses("3 lost (ring full 2) here"), "3 lost here");
}
