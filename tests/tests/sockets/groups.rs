//! Counts are those of the sockets that they are of.

use std::collections::BTreeMap;

use serde_json::Value;
use tcptrace_tests::{
    machine::is_root,
    net::{Family, connect, listen, pair},
};

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new();
    let first = stage.slot.port(0);
    stage.play(move |kept| {
        for (index, clients) in [(0, 3), (1, 1)] {
            let address = Family::V4.listen(first + index);
            let listener = listen(address);
            for _ in 0..clients {
                let (client, server) = pair(&listener, address);
                kept.extend([client, server]);
            }
            kept.push(listener);
        }
        let any = Family::MappedServer;
        let listener = listen(any.listen(first + 2));
        kept.extend([connect(any.connect(first + 2)), listener]);
    });
    stage
}

fn counts(groups: &[Value]) -> BTreeMap<String, u64> {
    let count = |group: &Value| {
        let states = group["states"].as_object().expect("counts").values();
        let total = group["total"].as_u64().expect("a number");
        assert_eq!(states.filter_map(Value::as_u64).sum::<u64>(), total, "{group}");
        (group["key"].as_str().expect("a key").to_owned(), total)
    };
    groups.iter().map(count).collect()
}

fn expected(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

#[test]
fn groups() {
    if !is_root("groups") {
        return;
    }
    let stage = stage();
    let by = |what: &str| {
        let look = stage.look(&["-o", "json", "--by", what]);
        assert_eq!(look.code, Some(0), "{}", look.stderr);
        let groups = look.of_type("sockets_group");
        let totals: Vec<_> = groups.iter().map(|group| group["total"].as_u64()).collect();
        assert!(totals.is_sorted_by(|a, b| a >= b), "the greatest first: {totals:?}");
        assert_eq!(look.summary()["sockets"], 13);
        counts(&groups)
    };
    assert_eq!(by("state"), expected(&[("LISTEN", 3), ("ESTABLISHED", 10)]));
    assert_eq!(by("peer"), expected(&[("192.0.2.1", 10), ("-", 3)]));
    let port = |index| stage.slot.port(index);
    let listeners =
        [format!("192.0.2.1:{}", port(0)), format!("192.0.2.1:{}", port(1)), format!("[::]:{}", port(2))];
    let [a, b, c] = &listeners;
    assert_eq!(by("listener"), expected(&[("-", 5), (a, 4), (b, 2), (c, 2)]));
    let pid = std::process::id();
    let processes = by("process");
    let (key, count) = processes.iter().next().expect("a group");
    assert!(key.ends_with(&format!("[{pid}]")), "{key}");
    // The one that is not accepted yet is the listener's.
    assert_eq!((processes.len(), *count), (1, 13));
    assert_eq!(by("container").values().sum::<u64>(), 13);

    let text = stage.look(&["--by", "listener"]).stdout;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TOTAL", "LISTEN", "ESTABLISHED", "LISTENER"]);
    assert!(lines.contains(&vec!["4", "1", "3", a]), "{text}");
    let csv = stage.look(&["-o", "csv", "--by", "state"]).stdout;
    assert!(
        csv.starts_with("type,by,key,netns,total,ESTABLISHED,")
            && csv.contains("\nsockets_group,state,LISTEN,,3,0,"),
        "{csv}"
    );
}
