//! Options that select findings: of `diagnose`, and of `trace --findings`.

use std::path::PathBuf;

use anyhow::Context as _;
use tcptrace_core::diagnosis::detect::{Expected, Options, REGISTRY, Thresholds};

use super::values;

/// What to look for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Findings")]
pub struct DetectArgs {
    /// Only findings of these kinds, such as close-wait-leak,syn-flood
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = ids())]
    pub only: Vec<String>,
    /// No findings of these kinds
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = ids())]
    pub skip: Vec<String>,
    /// The only listeners that there should be: ports and ranges of them, of any program or of one, such as
    /// 22,8000-8003,nginx:80,nginx:8200-8203
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = values::expected)]
    pub expect_listen: Vec<Expected>,
    /// Thresholds from a TOML file; `tcptrace diagnose --print-config` shows what there is
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// All kinds of findings.
fn ids() -> clap::builder::PossibleValuesParser {
    REGISTRY.iter().flat_map(|entry| entry.ids).into()
}

impl DetectArgs {
    /// Validates what clap cannot. `pid`: the only process whose sockets are seen.
    ///
    /// # Errors
    /// The file cannot be read, or has something that is no threshold.
    pub fn options(&self, pid: Option<u32>) -> anyhow::Result<Options> {
        Ok(Options {
            thresholds: self.thresholds()?,
            expected: (!self.expect_listen.is_empty()).then(|| self.expect_listen.clone()),
            only: self.only.clone(),
            skip: self.skip.clone(),
            of_one_process: pid.is_some(),
            ..Options::default()
        })
    }

    /// The kinds that are left out, as options.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let ids = |name: &str, ids: &[String]| (!ids.is_empty()).then(|| format!("{name} {}", ids.join(",")));
        [ids("--only", &self.only), ids("--skip", &self.skip)].into_iter().flatten()
    }

    fn thresholds(&self) -> anyhow::Result<Thresholds> {
        let Some(file) = &self.config else { return Ok(Thresholds::default()) };
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("--config {shown}"))?;
        Thresholds::parse(&text).with_context(|| format!("--config {shown}"))
    }
}
