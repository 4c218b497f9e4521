//! A row of a table is all that a field needs.

use super::{
    columns::{Columns, Layout},
    line::{header, row},
    schema::{Definitions, Schema},
    table::{Fields, fields, object},
    value::{Absent, Value},
    values::{Flat, Name, Object},
};

struct Inner(Option<u32>);

fields! { "inner", impl[] for Inner, |inner|, "", {
    "a": Option<u32> [csv 0] = inner.0, "A number.";
    "hidden": bool = true, "Only in JSON.";
    "late": u32 [csv 2] = 9, "";
} }

/// A record, without and with another row.
struct Before;
struct After;

fields! { "before", impl[] for Before, |before|, "", {
    "name": Name<'_> [csv 0] = Name(b"x,\"y\""), "";
    "inner": Object<Inner> [csv 0 "inner_"] = Object(Inner(None)), "";
    "sum": u64 [column 1 "total"] = 5, "";
    "last": u32 [csv 0] = 1, "";
} }

fields! { "after", impl[] for After, |after|, "", {
    "name": Name<'_> [csv 0] = Name(b"x,\"y\""), "";
    "inner": Object<Inner> [csv 0 "inner_"] = Object(Inner(None)), "";
    "sum": u64 [column 1 "total"] = 5, "";
    "added": Absent<bool> [csv 3] = Absent(Some(true)), "What is new.";
    "last": u32 [csv 0] = 1, "";
} }

/// A record that has only some of those columns.
struct Sparse;

fields! { "sparse", impl[] for Sparse, |sparse|, "", {
    "same": Flat<Few> [csv 0 ""] = Flat(Few), "";
    "added": bool [csv 3] = false, "";
} }

struct Few;

fields! { "few", impl[] for Few, |few|, "", {
    "last": u32 [csv 0] = 7, "";
} }

struct OfBefore;

impl Layout for OfBefore {
    const BIRTH: u8 = 0;
    const COLUMNS: Columns = Before::COLUMNS.ordered(Self::BIRTH);
}

struct OfAfter;

impl Layout for OfAfter {
    const BIRTH: u8 = 0;
    const COLUMNS: Columns = After::COLUMNS.and(&Sparse::COLUMNS).ordered(Self::BIRTH);
}

/// A form that began when the second block was there.
struct Younger;

impl Layout for Younger {
    const BIRTH: u8 = 2;
    const COLUMNS: Columns = After::COLUMNS.ordered(Self::BIRTH);
}

fn json<T: Fields>(record: &T) -> String {
    let mut out = Vec::new();
    object(record, &mut out);
    String::from_utf8(out).expect("text")
}

fn csv<L: Layout, T: Fields>(layout: &L, record: &T) -> String {
    let mut out = Vec::new();
    header(layout, &mut out);
    row(layout, record, &mut out);
    String::from_utf8(out).expect("text")
}

fn schema<T: Fields>() -> String {
    let mut definitions = Definitions::default();
    let reference = Object::<T>::schema(&mut definitions);
    assert_eq!(reference, Schema::parse(&format!(r##"{{ "$ref": "#/$defs/{}" }}"##, T::NAME)));
    format!("{definitions:?}")
}

#[test]
fn a_row_more_is_a_field_more_everywhere() {
    assert_eq!(json(&Before), r#"{"name":"x,\"y\"","inner":{"a":null,"hidden":true,"late":9},"last":1}"#);
    assert_eq!(
        json(&After),
        r#"{"name":"x,\"y\"","inner":{"a":null,"hidden":true,"late":9},"added":true,"last":1}"#
    );
    assert_eq!(csv(&OfBefore, &Before), "name,inner_a,last,total,inner_late\n\"x,\"\"y\"\"\",,1,5,9\n");
    assert_eq!(
        csv(&OfAfter, &After),
        "name,inner_a,last,total,inner_late,added\n\"x,\"\"y\"\"\",,1,5,9,true\n"
    );
    let (before, after) = (schema::<Before>(), schema::<After>());
    assert!(!before.contains("added") && after.contains("added") && after.contains("What is new."));
    assert!(!after.contains("total"), "a column is no member");
}

#[test]
fn columns_that_a_record_has_no_row_for_stay_empty() {
    assert_eq!(csv(&OfAfter, &Sparse), "name,inner_a,last,total,inner_late,added\n,,7,,,false\n");
}

#[test]
fn a_younger_form_has_older_columns_in_the_order_of_their_rows() {
    assert_eq!(
        csv(&Younger, &After),
        "name,inner_a,inner_late,total,last,added\n\"x,\"\"y\"\"\",,9,5,1,true\n"
    );
}

#[test]
fn what_may_be_null_says_so() {
    let mut definitions = Definitions::default();
    assert_eq!(Option::<bool>::schema(&mut definitions), Schema::parse(r#"{ "type": ["boolean", "null"] }"#));
    assert_eq!(Schema::one_of(["a"]).or_null(), Schema::parse(r#"{ "enum": ["a", null] }"#));
    assert_eq!(
        Option::<u64>::schema(&mut definitions),
        Schema::parse(r##"{ "anyOf": [{ "$ref": "#/$defs/u64" }, { "type": "null" }] }"##)
    );
}
