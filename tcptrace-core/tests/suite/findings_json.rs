//! Findings as JSON follow `docs/diagnose.schema.json`, whatever they rest on.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tcptrace_core::{
    model::{
        evidence::EvidenceValue,
        finding::{Confidence, Finding},
    },
    output::findings::one,
};

use crate::common::{schema::strict, shown::Shown};
use crate::watched::{Interval, found, intervals};

/// The schema of one finding, which has no member but those described.
fn schema() -> jsonschema::Validator {
    let report: Value = serde_json::from_str(include_str!("../../../docs/diagnose.schema.json")).unwrap();
    let finding = json!({ "$ref": "#/$defs/finding", "$defs": report["$defs"] });
    jsonschema::validator_for(&strict(finding)).unwrap()
}

fn check(schema: &jsonschema::Validator, finding: &Finding) -> Result<(), TestCaseError> {
    let json = serde_json::from_str(&one(finding)).unwrap();
    let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
    prop_assert!(errors.is_empty(), "{:?} in {:#}", errors, json);
    Ok(())
}

fn resting_on(value: EvidenceValue) -> Finding {
    Finding::new("port-scan", Confidence::HIGH, "a sentence".to_owned())
        .about("a host")
        .because("fact", value)
}

/// Any number, and often one at an end.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0_u64..100, any::<u64>()]
}

fn value() -> impl Strategy<Value = EvidenceValue> {
    let duration = || number().prop_map(Duration::from_nanos);
    prop_oneof![
        number().prop_map(EvidenceValue::Number),
        number().prop_map(EvidenceValue::AtLeast),
        number().prop_map(EvidenceValue::Bytes),
        duration().prop_map(EvidenceValue::Duration),
        (number(), number()).prop_map(|(value, of)| EvidenceValue::Part { value, of }),
        (number(), number(), prop::option::of(duration()))
            .prop_map(|(from, to, within)| { EvidenceValue::Growth { from, to, within } }),
        any::<bool>().prop_map(EvidenceValue::Flag),
        ".*".prop_map(EvidenceValue::Text),
        Just(EvidenceValue::Unknown),
    ]
}

proptest! {
    #[test]
    fn any_evidence_follows_the_schema(values in prop::collection::vec(value(), 40)) {
        let schema = schema();
        for value in values {
            check(&schema, &resting_on(value))?;
        }
    }

    #[test]
    fn any_finding_follows_the_schema(intervals in intervals(), thresholds in 0_usize..3) {
        let shown: Vec<Shown> = intervals.iter().flat_map(Interval::in_a_row).collect();
        let schema = schema();
        for finding in found(thresholds, &shown) {
            check(&schema, &finding)?;
        }
    }
}

/// The schema admits no form that tcptrace does not write, such as a number as text.
#[test]
fn the_schema_is_no_wider_than_the_evidence() {
    let schema = schema();
    let is_valid = |fact: Value| {
        let mut json: Value = serde_json::from_str(&one(&resting_on(true.into()))).unwrap();
        json["evidence"][0] = fact;
        schema.is_valid(&json)
    };
    assert!(is_valid(json!({ "name": "fact", "value": 3, "of": 2 })));
    for fact in [
        json!({ "name": "fact" }),
        json!({ "name": "", "value": 3 }),
        json!({ "name": "fact", "value": -3 }),
        json!({ "name": "fact", "value": 3.5 }),
        json!({ "name": "fact", "value": [3] }),
        json!({ "name": "fact", "value": "3", "unit": "s" }),
        json!({ "name": "fact", "value": 3, "unit": "minutes" }),
        json!({ "name": "fact", "value": 3.5, "unit": "bytes" }),
        json!({ "name": "fact", "value": -3, "unit": "s" }),
        json!({ "name": "fact", "value": "3", "of": 5 }),
        json!({ "name": "fact", "value": 3, "of": 5, "unit": "s" }),
        json!({ "name": "fact", "value": 3, "at_least": false }),
        json!({ "name": "fact", "value": 3, "at_least": true, "of": 5 }),
        json!({ "name": "fact", "value": 3, "from": 5 }),
        json!({ "name": "fact", "value": 3, "to": 5 }),
        json!({ "name": "fact", "value": 3, "within_s": 5 }),
        json!({ "name": "fact", "value": null, "from": 2, "to": 5 }),
        json!({ "name": "fact", "value": true, "of": 5 }),
    ] {
        assert!(!is_valid(fact.clone()), "{fact}");
    }
}
