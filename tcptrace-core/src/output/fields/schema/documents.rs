//! The schemas in `docs/`.

use super::{Definitions, Members, Node, Schema};
use crate::{
    diagnosis::report::Report,
    output::fields::{
        table::Fields,
        tables::{
            clock_step, connection, degraded, finding, half_open, loss, socket, sockets_group,
            sockets_summary, summary, transition,
        },
    },
};

/// The schemas, made of the tables of fields: the name of each file in `docs/`, and its text.
pub fn schemas() -> Vec<(&'static str, String)> {
    let mut stream = Lines::default();
    stream.add::<transition::Line<'_>>();
    stream.add::<connection::Line<'_>>();
    stream.add::<half_open::Line<'_>>();
    stream.add::<loss::HalfOpenLine<'_>>();
    stream.add::<finding::Line<'_>>();
    stream.add::<loss::Line<'_>>();
    stream.add::<degraded::Line<'_>>();
    stream.add::<clock_step::Line<'_>>();
    stream.add::<summary::Line<'_>>();
    let mut sockets = Lines::default();
    sockets.add::<socket::Line<'_>>();
    sockets.add::<sockets_group::Line<'_>>();
    sockets.add::<sockets_summary::Line<'_>>();
    vec![
        ("output.schema.json", stream.document("output", "`tcptrace -o json` and `tcptrace life -o json`")),
        ("sockets.schema.json", sockets.document("sockets", "`tcptrace sockets -o json`")),
        ("diagnose.schema.json", report()),
    ]
}

/// The lines of an output.
#[derive(Default)]
struct Lines {
    records: Vec<Node>,
    definitions: Definitions,
}

impl Lines {
    fn add<T: Fields>(&mut self) {
        let record = self.definitions.table::<T>();
        self.records.push(record.into());
    }

    fn document(self, name: &str, commands: &str) -> String {
        let description = format!(
            "Each line of {commands} is one of these objects. Fields may be added without a new schema number; a field that is \
             described here keeps its name, type, unit and meaning until `schema` changes."
        );
        let head = head(name, &format!("A line of {commands}, schema 1"))
            .with("description", description.as_str())
            .with("type", "object")
            .with("required", vec![Node::from("schema"), Node::from("type")])
            .with("oneOf", self.records);
        print(head, self.definitions)
    }
}

fn report() -> String {
    let mut definitions = Definitions::default();
    let report = Members::of::<Report>(&mut definitions).schema();
    let mut document = head("diagnose", "The report of `tcptrace diagnose -o json`, schema 1");
    document.0.extend(report.0);
    print(document, definitions)
}

fn head(name: &str, title: &str) -> Schema {
    let id = format!("https://github.com/tcptrace/tcptrace/blob/main/docs/{name}.schema.json");
    Schema(Vec::new())
        .with("$schema", "https://json-schema.org/draft/2020-12/schema")
        .with("$id", id.as_str())
        .with("title", title)
}

fn print(document: Schema, definitions: Definitions) -> String {
    let definitions = definitions.0.into_iter().map(|(name, schema)| (name.to_owned(), schema.into()));
    let document: Node = document.with("$defs", definitions.collect::<Vec<(String, Node)>>()).into();
    let mut text = String::new();
    document.print(0, 0, &mut text);
    text.push('\n');
    text
}
