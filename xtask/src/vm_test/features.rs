//! The results of `tcptrace doctor` in each machine, as a table.

use std::fmt;

use serde::Deserialize;

/// The results of all kernels.
#[derive(Default)]
pub(crate) struct Features {
    kernels: Vec<(String, Vec<Row>)>,
}

/// A line of the report: the fields that are shown here.
#[derive(Deserialize)]
struct Row {
    group: String,
    name: String,
    status: String,
}

/// The groups that depend on the kernel rather than on the host.
const GROUPS: [&str; 2] = ["hook", "feature"];

impl Features {
    /// Reads a report in JSON; `false` if the text is none.
    pub(crate) fn read(&mut self, kernel: &str, json: &str) -> bool {
        #[derive(Deserialize)]
        struct Report {
            rows: Vec<Row>,
        }
        let Ok(report) = serde_json::from_str::<Report>(json) else { return false };
        let rows = report.rows.into_iter().filter(|row| GROUPS.contains(&row.group.as_str()));
        self.kernels.push((kernel.to_owned(), rows.collect()));
        true
    }
}

/// Markdown: one line for each feature, one column for each kernel.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernels: Vec<&str> = self.kernels.iter().map(|(kernel, _)| kernel.as_str()).collect();
        writeln!(f, "| | {} |", kernels.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(kernels.len()))?;
        for Row { group, name, .. } in self.kernels.first().map_or(&[][..], |(_, rows)| rows) {
            let status = |(_, rows): &(String, Vec<Row>)| {
                let row = rows.iter().find(|row| (&row.group, &row.name) == (group, name));
                row.map_or_else(|| "?".to_owned(), |row| row.status.clone())
            };
            let cells: Vec<String> = self.kernels.iter().map(status).collect();
            writeln!(f, "| {group} `{name}` | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_columns() {
        let mut features = Features::default();
        let report = |status: &str| {
            format!(
                r#"{{"rows":[{{"group":"hook","name":"tp_btf","status":"{status}"}},
                {{"group":"host","name":"jit","status":"ok"}}]}}"#
            )
        };
        assert!(features.read("5.10", &report("limited")) && features.read("7.2", &report("ok")));
        assert!(!features.read("8.0", "not JSON"));
        assert_eq!(
            features.to_string(),
            "| | 5.10 | 7.2 |\n|---|---|---|\n| hook `tp_btf` | limited | ok |\n"
        );
    }
}
