//! A fact that a finding rests on.

use std::time::Duration;

use super::finding::Filled;
use crate::{
    model::evidence::{Evidence, EvidenceValue},
    output::{
        fields::{
            schema::{Definitions, Schema},
            table::fields,
            value::{Absent, Value},
            values::{Quoted, Word},
        },
        put,
    },
};

fields! { "evidence", impl[] for Evidence, |evidence|, "",
    rules r#"{
        "dependentRequired": { "from": ["to"], "to": ["from"], "within_s": ["from"] },
        "oneOf": [
            { "title": "A count, or a number that has no unit",
              "properties": { "value": { "type": "integer", "minimum": 0 }, "unit": false, "at_least": false, "of": false, "from": false } },
            { "title": "A lower limit of a count", "required": ["at_least"],
              "properties": { "value": { "type": "integer", "minimum": 0 }, "unit": false, "of": false, "from": false } },
            { "title": "A number of bytes", "required": ["unit"],
              "properties": { "value": { "type": "integer", "minimum": 0 }, "unit": { "const": "bytes" }, "at_least": false, "of": false, "from": false } },
            { "title": "A length of time", "required": ["unit"],
              "properties": { "value": { "type": "number", "minimum": 0 }, "unit": { "const": "s" }, "at_least": false, "of": false, "from": false } },
            { "title": "A number of a limit or of a total", "required": ["of"],
              "properties": { "value": { "type": "integer", "minimum": 0 }, "unit": false, "at_least": false, "from": false } },
            { "title": "The growth of a count", "required": ["from"],
              "properties": { "value": { "type": "integer" }, "unit": false, "at_least": false, "of": false } },
            { "title": "True or false, text, or not known",
              "properties": { "value": { "type": ["boolean", "string", "null"] }, "unit": false, "at_least": false, "of": false, "from": false } }
        ]
    }"#, {
    "at_least": Absent<True> = Absent(matches!(evidence.value, EvidenceValue::AtLeast(_)).then_some(True)),
        "The value is a lower limit: a table was full.";
    "from": Absent<u64> = Absent(match evidence.value {
        EvidenceValue::Growth { from, .. } => Some(from),
        _ => None,
    }), "The first count, of which the value is the growth. The value is negative where the count shrank.";
    "name": Filled<'_> = Filled(&evidence.name), "What was counted or measured.";
    "of": Absent<u64> = Absent(match evidence.value {
        EvidenceValue::Part { of, .. } => Some(of),
        _ => None,
    }), "The limit or the total that the value is compared with. The value may be above a limit.";
    "to": Absent<u64> = Absent(match evidence.value {
        EvidenceValue::Growth { to, .. } => Some(to),
        _ => None,
    }), "The last count.";
    "unit": Absent<Unit> = Absent(Unit::of(&evidence.value)),
        "Unit of the value: seconds or bytes. Without it, the value is a count, or a number that has no unit.";
    "value": Amount<'_> = Amount(&evidence.value),
        "A number, true or false, text where it is neither, null where it is not known. Numbers are whole, but for those in \
         seconds.";
    "within_s": Absent<f64> = Absent(match evidence.value {
        EvidenceValue::Growth { within, .. } => within.map(seconds),
        _ => None,
    }), "Seconds between the first count and the last.";
} }

/// A count or a measure.
pub(in crate::output) struct Amount<'a>(&'a EvidenceValue);

impl Value for Amount<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        match self.0 {
            EvidenceValue::Number(value)
            | EvidenceValue::AtLeast(value)
            | EvidenceValue::Bytes(value)
            | EvidenceValue::Part { value, .. } => value.json(out),
            EvidenceValue::Duration(time) => seconds(*time).json(out),
            EvidenceValue::Growth { from, to, .. } => put::number(out, difference(*from, *to)),
            EvidenceValue::Flag(value) => value.json(out),
            EvidenceValue::Text(value) => Quoted(value).json(out),
            EvidenceValue::Unknown => None::<u64>.json(out),
        }
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::parse(r#"{ "type": ["number", "boolean", "string", "null"] }"#)
    }
}

/// `Duration::as_secs_f64()` adds two rounded numbers: 3.6983142239999998 for 3.698314224.
#[expect(clippy::cast_precision_loss, reason = "exact for 104 days")]
fn seconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e9
}

/// The growth of a count: negative where it shrank. JSON has no more than 64 bits for it.
fn difference(from: u64, to: u64) -> i128 {
    (i128::from(to) - i128::from(from)).max(i64::MIN.into())
}

/// A flag that is written where it is true, and absent otherwise.
pub(in crate::output) struct True;

impl Value for True {
    fn json(&self, out: &mut Vec<u8>) {
        true.json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::constant(true)
    }
}

/// The unit of a value.
pub(in crate::output) enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    fn of(value: &EvidenceValue) -> Option<Self> {
        match value {
            EvidenceValue::Bytes(_) => Some(Self::Bytes),
            EvidenceValue::Duration(_) => Some(Self::Seconds),
            _ => None,
        }
    }
}

impl Word for Unit {
    const WORDS: &'static [&'static str] = &["s", "bytes"];

    fn word(&self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fields::object;

    /// The fields of a fact.
    fn fields(value: impl Into<EvidenceValue>) -> String {
        let mut out = Vec::new();
        object(&Evidence { name: "fact".to_owned(), value: value.into() }, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers() {
        assert_eq!(fields(4_096_u64), r#"{"name":"fact","value":4096}"#);
        assert_eq!(
            fields(EvidenceValue::AtLeast(65_536)),
            r#"{"at_least":true,"name":"fact","value":65536}"#
        );
        assert_eq!(fields(EvidenceValue::Bytes(3_000)), r#"{"name":"fact","unit":"bytes","value":3000}"#);
        assert_eq!(fields(Duration::from_millis(12_500)), r#"{"name":"fact","unit":"s","value":12.5}"#);
        assert_eq!(
            fields(Duration::from_nanos(3_698_314_224)),
            r#"{"name":"fact","unit":"s","value":3.698314224}"#
        );
        assert_eq!(fields(EvidenceValue::part(129_u64, 128_u64)), r#"{"name":"fact","of":128,"value":129}"#);
    }

    #[test]
    fn growth() {
        let growth = |from, to, within| fields(EvidenceValue::Growth { from, to, within });
        let within = Some(Duration::from_secs(10));
        assert_eq!(growth(40, 42, None), r#"{"from":40,"name":"fact","to":42,"value":2}"#);
        assert_eq!(
            growth(60, 50, within),
            r#"{"from":60,"name":"fact","to":50,"value":-10,"within_s":10.0}"#
        );
        assert_eq!(difference(0, u64::MAX), u64::MAX.into());
        assert_eq!(difference(u64::MAX, 0), i64::MIN.into());
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!(
            [true, false].map(fields),
            [r#"{"name":"fact","value":true}"#, r#"{"name":"fact","value":false}"#]
        );
        assert_eq!(fields("eth0"), r#"{"name":"fact","value":"eth0"}"#);
        assert_eq!(fields(None::<u64>), r#"{"name":"fact","value":null}"#);
    }
}
