//! The rules of `deny.toml`, as far as `Cargo.lock` and what cargo knows of the packages can tell.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use super::{Metadata, Package};

#[derive(Deserialize)]
pub(super) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may be there beside another one.
#[derive(Deserialize)]
struct Skip {
    /// Such as `syn@2`.
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Skip {
    fn fits(&self, package: &Package) -> bool {
        let Some((name, version)) = self.spec.split_once('@') else { return false };
        let rest = package.version.strip_prefix(version);
        name == package.name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl Rules {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Licences, sources, and what the manifests ask for.
    pub(super) fn faults(&self, metadata: &Metadata) -> Vec<String> {
        let mut faults = Vec::new();
        let ours = metadata.members().filter_map(|member| member.rust_version.as_deref()).map(release).max();
        for package in metadata.foreign() {
            let Package { name, version, license, rust_version, .. } = package;
            if !self.is_allowed(package) {
                let license = license.as_deref().unwrap_or("none that its manifest names");
                faults.push(format!("{name} {version} has a licence that is not allowed: {license}"));
            }
            let registry = package.source.as_deref().and_then(|source| source.strip_prefix("registry+"));
            if !registry.is_some_and(|url| self.sources.allow_registry.iter().any(|allowed| allowed == url)) {
                faults.push(format!("{name} {version} comes from {:?}", package.source));
            }
            if rust_version.as_deref().map(release) > ours {
                faults.push(format!("{name} {version} needs a later Rust: {rust_version:?}"));
            }
        }
        for member in metadata.members() {
            for dependency in member.dependencies.iter().filter(|one| one.source.is_some() && one.req == "*")
            {
                faults.push(format!("{} takes any version of {}", member.name, dependency.name));
            }
        }
        faults
    }

    fn is_allowed(&self, package: &Package) -> bool {
        let Some(license) = &package.license else { return false };
        let exceptions = self.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        let allowed = self.licenses.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow));
        let allowed: Vec<_> = allowed.filter_map(|name| Licensee::parse(name).ok()).collect();
        Expression::parse_mode(license, ParseMode::LAX).is_ok_and(|expression| {
            expression.evaluate(|wanted| allowed.iter().any(|allowed| allowed.satisfies(wanted)))
        })
    }

    /// Packages of which there is more than one version, and exceptions that are none.
    pub(super) fn duplicates(&self, packages: &[Package]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in packages {
            versions.entry(&package.name).or_default().push(package);
        }
        for (name, all) in &versions {
            let counted = all.iter().filter(|package| !self.bans.skip.iter().any(|skip| skip.fits(package)));
            let counted: Vec<&str> = counted.map(|package| package.version.as_str()).collect();
            if counted.len() > 1 {
                faults.push(format!("{name} is there as {}: leave one, or skip it", counted.join(" and ")));
            }
        }
        for skip in &self.bans.skip {
            let name = skip.spec.split('@').next().unwrap_or_default();
            let all = versions.get(name).map_or(&[][..], Vec::as_slice);
            if all.len() < 2 || !all.iter().any(|package| skip.fits(package)) {
                faults.push(format!("{} is skipped for nothing", skip.spec));
            }
            if skip.reason.is_empty() {
                faults.push(format!("{} is skipped without a reason", skip.spec));
            }
        }
        faults
    }
}

/// `1.95` or `1.66.0` as numbers.
fn release(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    const RULES: &str = r#"
        licenses.allow = ["MIT", "Apache-2.0"]
        licenses.exceptions = [{ crate = "odd", allow = ["NCSA"] }]
        bans.skip = [{ crate = "two@1", reason = "why" }]
        sources.allow-registry = ["https://registry"]
    "#;

    fn metadata(name: &str, version: &str, license: &str, source: &str) -> Metadata {
        let package = |name, version, license, source, dependencies| {
            serde_json::json!({
                "id": name, "name": name, "version": version, "license": license, "source": source,
                "rust_version": if name == "ours" { "1.95" } else { "1.66.0" }, "dependencies": dependencies,
            })
        };
        let none = serde_json::json!([]);
        let any = serde_json::json!([{ "name": "any", "req": "*", "source": "registry+https://registry" }]);
        let packages = [
            package(name, version, Some(license), Some(source), none),
            package("ours", "0.1.0", None, None, any),
        ];
        parse(&serde_json::json!({ "packages": packages, "workspace_members": ["ours"] }).to_string())
            .expect("metadata")
    }

    fn faults(name: &str, license: &str, source: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(RULES).expect("rules");
        rules.faults(&metadata(name, "1.0.0", license, source))
    }

    #[test]
    fn licences_sources_and_wildcards() {
        let registry = "registry+https://registry";
        let wildcard = "ours takes any version of any".to_owned();
        for (name, license) in [
            ("x", "MIT"),
            ("x", "Unlicense/MIT"),
            ("x", "GPL-2.0-only OR Apache-2.0"),
            ("odd", "(MIT OR Apache-2.0) AND NCSA"),
        ] {
            assert_eq!(faults(name, license, registry), [wildcard.as_str()], "{license}");
        }
        for license in ["GPL-2.0-only", "MIT AND GPL-2.0-only", "(MIT OR Apache-2.0) AND NCSA", "mine"] {
            let faults = faults("x", license, registry);
            assert!(faults[0].contains("licence") && faults.len() == 2, "{faults:?}");
        }
        assert!(faults("x", "MIT", "git+https://registry")[0].contains("comes from"));
    }

    #[test]
    fn two_versions_need_a_reason() {
        let rules: Rules = toml::from_str(RULES).expect("rules");
        let of = |name, versions: &[&str]| {
            let all = versions.iter().flat_map(|version| metadata(name, version, "MIT", "").packages);
            rules.duplicates(&all.filter(|package| package.name != "ours").collect::<Vec<_>>())
        };
        assert_eq!(of("two", &["1.2.0", "2.0.0"]), [""; 0]);
        assert_eq!(of("two", &["1.2.0", "2.0.0", "3.0.0"]).len(), 1);
        assert_eq!(of("two", &["1.2.0"]), ["two@1 is skipped for nothing"]);
        assert_eq!(of("two", &["10.0.0", "2.0.0"]).len(), 2);
        assert_eq!(of("other", &["1.0.0", "2.0.0"]).len(), 2);
    }
}
