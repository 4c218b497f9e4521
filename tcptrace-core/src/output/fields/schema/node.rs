//! JSON whose members keep their order, printed for people.

/// Lines of a printed document are at most this long, where they can be broken.
const WIDTH: usize = 120;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::output) enum Node {
    Null,
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    /// Parses the text of a JSON value without fractions and negative numbers. The members of an object lose their order.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).map_or(Self::Null, |value| Self::of(&value))
    }

    fn of(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(flag) => Self::Flag(*flag),
            serde_json::Value::Number(number) => number.as_u64().map_or(Self::Null, Self::Number),
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            serde_json::Value::Object(members) => {
                Self::Map(members.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect())
            }
        }
    }

    /// Appends the value. A list or an object that fits into the rest of the line, `used` of which is taken, stays in the
    /// line.
    pub(super) fn print(&self, indent: usize, used: usize, out: &mut String) {
        let mut flat = String::new();
        self.flat(&mut flat);
        let is_plain = !matches!(self, Self::List(_) | Self::Map(_));
        if is_plain || used + flat.len() < WIDTH {
            out.push_str(&flat);
            return;
        }
        match self {
            Self::List(items) if items.iter().all(|item| matches!(item, Self::Text(_) | Self::Null)) => {
                fill(items, indent + 2, out);
            }
            Self::List(items) => {
                broken('[', items.iter().map(|item| (String::new(), item)), indent, out, ']');
            }
            Self::Map(members) => broken(
                '{',
                members.iter().map(|(key, value)| (format!("{}: ", quoted(key)), value)),
                indent,
                out,
                '}',
            ),
            _ => {}
        }
    }

    fn flat(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.flat(out);
                }
                out.push(']');
            }
            Self::Map(members) if members.is_empty() => out.push_str("{}"),
            Self::Map(members) => {
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "{ " });
                    out.push_str(&quoted(key));
                    out.push_str(": ");
                    value.flat(out);
                }
                out.push_str(" }");
            }
        }
    }
}

/// Appends one item per line.
fn broken<'a>(
    open: char,
    items: impl Iterator<Item = (String, &'a Node)>,
    indent: usize,
    out: &mut String,
    close: char,
) {
    out.push(open);
    for (index, (key, value)) in items.enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.push_str(&" ".repeat(indent + 2));
        out.push_str(&key);
        value.print(indent + 2, indent + 2 + key.len(), out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

/// Appends words, as many per line as fit.
fn fill(items: &[Node], indent: usize, out: &mut String) {
    out.push('[');
    let mut line = WIDTH;
    for (index, item) in items.iter().enumerate() {
        let mut word = String::new();
        item.flat(&mut word);
        out.push_str(if index > 0 { "," } else { "" });
        if line + word.len() + 2 >= WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            line = indent;
        } else {
            out.push(' ');
        }
        line += word.len() + 2;
        out.push_str(&word);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent.saturating_sub(2)));
    out.push(']');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Node {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Node {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Vec<Self>> for Node {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

impl From<Vec<(String, Self)>> for Node {
    fn from(members: Vec<(String, Self)>) -> Self {
        Self::Map(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lines_stay_and_long_ones_break() {
        let printed = |text: &str| {
            let mut out = String::new();
            Node::parse(text).print(0, 0, &mut out);
            out
        };
        assert_eq!(printed(r#"{"b":[1,"x\"",null],"a":{}}"#), r#"{ "a": {}, "b": [1, "x\"", null] }"#);
        let word = "w".repeat(70);
        assert_eq!(
            printed(&format!(r#"{{"a":["{word}","{word}"]}}"#)),
            format!("{{\n  \"a\": [\n    \"{word}\",\n    \"{word}\"\n  ]\n}}")
        );
        assert_eq!(
            printed(&format!(r#"[{{"a":"{word}"}},{{"b":"{word}"}}]"#)),
            format!("[\n  {{ \"a\": \"{word}\" }},\n  {{ \"b\": \"{word}\" }}\n]")
        );
    }
}
