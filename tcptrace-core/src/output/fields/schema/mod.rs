//! The tables as JSON Schema, draft 2020-12.

mod documents;
mod node;

pub use documents::schemas;
pub(in crate::output) use node::Node;

use super::table::Fields;

/// The schema of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::output) struct Schema(Vec<(String, Node)>);

impl Schema {
    /// The schema of a type.
    pub(in crate::output) fn of_type(name: &str) -> Self {
        Self(Vec::new()).with("type", name)
    }

    /// Any integer within limits.
    pub(in crate::output) fn integer(minimum: u64, maximum: u64) -> Self {
        Self::of_type("integer").with("minimum", minimum).with("maximum", maximum)
    }

    /// One of these values only.
    pub(in crate::output) fn one_of(values: impl IntoIterator<Item = impl Into<Node>>) -> Self {
        Self(Vec::new()).with("enum", values.into_iter().map(Into::into).collect::<Vec<_>>())
    }

    /// This value only.
    pub(in crate::output) fn constant(value: impl Into<Node>) -> Self {
        Self(Vec::new()).with("const", value)
    }

    /// A list of any number of these.
    pub(in crate::output) fn list_of(items: Self) -> Self {
        Self::of_type("array").with("items", items)
    }

    /// A schema from JSON text.
    pub(in crate::output) fn parse(text: &str) -> Self {
        match Node::parse(text) {
            Node::Map(members) => Self(members),
            other => Self(vec![("const".to_owned(), other)]),
        }
    }

    /// Adds a keyword.
    #[must_use]
    pub(in crate::output) fn with(mut self, keyword: &str, value: impl Into<Node>) -> Self {
        self.0.push((keyword.to_owned(), value.into()));
        self
    }

    /// Sets the description, unless it is empty.
    #[must_use]
    pub(in crate::output) fn about(mut self, description: &str) -> Self {
        if !description.is_empty() {
            self.0.retain(|(keyword, _)| keyword != "description");
            self.0.insert(0, ("description".to_owned(), description.into()));
        }
        self
    }

    /// This value, or null.
    #[must_use]
    pub(in crate::output) fn or_null(mut self) -> Self {
        for (keyword, value) in &mut self.0 {
            match (keyword.as_str(), &mut *value) {
                ("enum", Node::List(values)) => {
                    values.push(Node::Null);
                    return self;
                }
                ("type", Node::Text(name)) => {
                    *value = Node::List(vec![name.as_str().into(), "null".into()]);
                    return self;
                }
                _ => {}
            }
        }
        Self(vec![("anyOf".to_owned(), Node::List(vec![self.into(), Self::of_type("null").into()]))])
    }
}

impl From<Schema> for Node {
    fn from(schema: Schema) -> Self {
        Self::Map(schema.0)
    }
}

/// The rows of an object.
#[derive(Default)]
pub(in crate::output) struct Members {
    description: String,
    rules: Option<Schema>,
    rows: Vec<(&'static str, Schema, bool)>,
}

impl Members {
    /// The rows of a table.
    pub(in crate::output) fn of<T: Fields>(definitions: &mut Definitions) -> Self {
        let mut members = Self::default();
        T::describe(&mut members, definitions);
        members
    }

    /// Sets the description.
    pub(in crate::output) fn about(&mut self, description: &str) {
        description.clone_into(&mut self.description);
    }

    /// Adds the rules between the members, as JSON.
    pub(in crate::output) fn rules(&mut self, rules: &str) {
        self.rules = Some(Schema::parse(rules));
    }

    /// Adds a member that is always there.
    pub(in crate::output) fn required(&mut self, name: &'static str, schema: Schema) {
        self.rows.push((name, schema, true));
    }

    /// Adds a member that may be absent.
    pub(in crate::output) fn optional(&mut self, name: &'static str, schema: Schema) {
        self.rows.push((name, schema, false));
    }

    /// Adds the members of another table.
    pub(in crate::output) fn splice(&mut self, other: Self) {
        self.rows.extend(other.rows);
    }

    fn schema(self) -> Schema {
        let required = self.rows.iter().filter(|(.., always)| *always).map(|(name, ..)| (*name).into());
        let required: Vec<Node> = required.collect();
        let properties: Vec<(String, Node)> =
            self.rows.into_iter().map(|(name, schema, _)| (name.to_owned(), schema.into())).collect();
        let mut schema = Schema::of_type("object").about(&self.description);
        if !required.is_empty() {
            schema = schema.with("required", required);
        }
        schema = schema.with("properties", properties);
        schema.0.extend(self.rules.into_iter().flat_map(|rules| rules.0));
        if schema.0.iter().any(|(keyword, _)| keyword == "additionalProperties") {
            return schema;
        }
        schema.with("additionalProperties", true)
    }
}

/// Definitions that several values share.
#[derive(Debug, Default)]
pub(in crate::output) struct Definitions(Vec<(&'static str, Schema)>);

impl Definitions {
    /// Adds the definition of a table. Returns a reference to it.
    pub(in crate::output) fn table<T: Fields>(&mut self) -> Schema {
        let schema = Members::of::<T>(self).schema();
        self.refer(T::NAME, schema)
    }

    /// Adds the definition of a schema. Returns a reference to it.
    pub(in crate::output) fn refer(&mut self, name: &'static str, schema: Schema) -> Schema {
        let definition = (name, schema);
        if !self.0.contains(&definition) {
            self.0.push(definition);
        }
        Schema(vec![("$ref".to_owned(), Node::Text(format!("#/$defs/{name}")))])
    }
}
