//! `docs/dependencies.md`: every package that one of ours asks for, with who uses it and what for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Metadata, Package};

/// Where the table is.
pub(super) const PATH: &str = "docs/dependencies.md";

/// Of a package: the first and the last two columns of its row. What it is for, only people know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    by: BTreeSet<String>,
    license: String,
}

impl Used {
    fn by(&self) -> String {
        self.by.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What is used directly.
pub(super) fn used(all: &[&Metadata]) -> BTreeMap<String, Used> {
    let mut used: BTreeMap<String, Used> = BTreeMap::new();
    for metadata in all {
        for member in metadata.members() {
            for dependency in member.dependencies.iter().filter(|dependency| dependency.source.is_some()) {
                let one = used.entry(dependency.name.clone()).or_default();
                one.by.insert(user(member, dependency.kind.as_deref()));
                let package = metadata.packages.iter().find(|package| package.name == dependency.name);
                one.license = package.and_then(|package| package.license.clone()).unwrap_or_default();
            }
        }
    }
    used
}

/// `userspace`, or `userspace (dev)` for its tests.
fn user(member: &Package, kind: Option<&str>) -> String {
    let name = member.name.strip_prefix("tcptrace-").unwrap_or(&member.name);
    kind.map_or_else(|| name.to_owned(), |kind| format!("{name} ({kind})"))
}

/// Rows that lack, that are too many, or that are not so any more.
pub(super) fn faults(text: &str, used: &BTreeMap<String, Used>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, by, reason, license] = cells[..] else {
            faults.push(format!("{PATH}: four columns are expected in: {line}"));
            continue;
        };
        let name = name.trim_matches('`');
        if !seen.insert(name) {
            faults.push(format!("{PATH}: {name} has two rows"));
        }
        let Some(one) = used.get(name) else {
            faults.push(format!("{PATH}: nobody asks for {name}"));
            continue;
        };
        if (by, license) != (&one.by(), &one.license) {
            faults.push(format!("{PATH}: {name} is used by {} and is {}", one.by(), one.license));
        }
        if reason.is_empty() {
            faults.push(format!("{PATH}: {name} has no reason"));
        }
    }
    for (name, one) in used.iter().filter(|(name, _)| !seen.contains(name.as_str())) {
        faults.push(format!("{PATH} lacks: | `{name}` | {} | WHAT FOR | {} |", one.by(), one.license));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_neither_missing_nor_surplus_nor_old() {
        let by = ["userspace".to_owned(), "xtask (dev)".to_owned()].into();
        let used = BTreeMap::from([("toml".to_owned(), Used { by, license: "MIT".to_owned() })]);
        let row = "| `toml` | userspace, xtask (dev) | thresholds | MIT |";
        assert_eq!(faults(&format!("| Name |\n|---|\n{row}\n"), &used), [""; 0]);
        for (text, why) in [
            ("", "lacks: | `toml` | userspace, xtask (dev) | WHAT FOR | MIT |"),
            (&format!("{row}\n{row}"), "two rows"),
            (&format!("{row}\n| `log` | xtask | x | MIT |"), "nobody asks for log"),
            (&row.replace("MIT", "Zlib"), "is MIT"),
            (&row.replace("xtask (dev)", "xtask"), "is used by userspace, xtask (dev)"),
            (&row.replace("thresholds", ""), "no reason"),
            (&row.replace("thresholds", "a|b"), "four columns"),
        ] {
            let faults = faults(text, &used);
            assert!(faults[0].contains(why), "{faults:?}");
        }
    }
}
