//! Tables of fields.

use super::{
    columns::{Columns, Layout},
    line::Line,
    schema::{Definitions, Members},
};

/// A table: the form of a record in JSON, in CSV and in the schema. [`fields!`] makes one from rows.
pub(in crate::output) trait Fields {
    /// Its name in the schema; for a record, its `type`.
    const NAME: &'static str;
    /// Its columns, in the order of its rows.
    const COLUMNS: Columns;

    /// Appends its members, each after a comma.
    fn members(&self, out: &mut Vec<u8>);

    /// Appends its columns of a block. The columns of a record that is `NESTED` in another one are in a row.
    fn cells<L: Layout, const BLOCK: u8, const NESTED: bool>(&self, line: &mut Line<'_>);

    /// Its description in the schema.
    fn describe(members: &mut Members, definitions: &mut Definitions);
}

impl<T: Fields> Fields for &T {
    const NAME: &'static str = T::NAME;
    const COLUMNS: Columns = T::COLUMNS;

    #[inline(always)]
    fn members(&self, out: &mut Vec<u8>) {
        T::members(self, out);
    }

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8, const NESTED: bool>(&self, line: &mut Line<'_>) {
        T::cells::<L, BLOCK, NESTED>(self, line);
    }

    fn describe(members: &mut Members, definitions: &mut Definitions) {
        T::describe(members, definitions);
    }
}

/// Appends an object. Its members begin with a comma, and the first comma becomes the brace.
#[inline(always)]
pub(in crate::output) fn object<T: Fields>(record: &T, out: &mut Vec<u8>) {
    let start = out.len();
    record.members(out);
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// Makes a table of rows, in the order of JSON:
///
/// ```text
/// fields! { "evidence", impl['a] for &'a Evidence, |evidence|, "What the schema says of all of it.", {
///     "name": Type [csv 0] = its value, "What the schema says of it.";
/// } }
/// ```
///
/// `[csv N]` gives a row a column in block N. `[csv N "name"]` gives the column another name; for a group, the names of its
/// columns begin with this name. `[column N]` is a column that JSON does not have. Without these, a row has no column. The
/// description of a row may be empty where its type has one.
macro_rules! fields {
    (
        $name:literal, impl[$($generics:tt)*] for $record:ty, |$row:ident|, $description:expr,
        $(rules $rules:expr,)?
        { $( $field:literal : $value_type:ty $([$($csv:tt)*])? = $value:expr, $doc:expr; )* }
    ) => {
        impl<$($generics)*> $crate::output::fields::table::Fields for $record {
            const NAME: &'static str = $name;
            const COLUMNS: $crate::output::fields::columns::Columns =
                $crate::output::fields::columns::Columns::NONE
                $( .and(&fields!(@columns $field, $value_type, [$($($csv)*)?])) )*;

            #[inline(always)]
            #[allow(unused_variables, reason = "of a row that needs no record")]
            fn members(&self, out: &mut Vec<u8>) {
                let $row = self;
                $( fields!(@member out, $field, $value_type, $value, [$($($csv)*)?]); )*
            }

            #[inline(always)]
            #[allow(unused_variables, reason = "of a row that needs no record, and of tables without columns")]
            fn cells<L: $crate::output::fields::columns::Layout, const BLOCK: u8, const NESTED: bool>(
                &self,
                line: &mut $crate::output::fields::line::Line<'_>,
            ) {
                let $row = self;
                $( fields!(@cells line, L, BLOCK, NESTED, $field, $value_type, $value, [$($($csv)*)?]); )*
            }

            fn describe(
                members: &mut $crate::output::fields::schema::Members,
                definitions: &mut $crate::output::fields::schema::Definitions,
            ) {
                members.about($description);
                $( members.rules($rules); )?
                $( fields!(@describe members, definitions, $field, $value_type, $doc, [$($($csv)*)?]); )*
            }
        }
    };

    (@columns $field:literal, $type:ty, []) => { $crate::output::fields::columns::Columns::NONE };
    (@columns $field:literal, $type:ty, [$how:ident $block:literal]) => {
        $crate::output::fields::columns::Columns::of::<$type>($field, $block)
    };
    (@columns $field:literal, $type:ty, [$how:ident $block:literal $column:literal]) => {
        $crate::output::fields::columns::Columns::of::<$type>($column, $block)
    };

    (@member $out:ident, $field:literal, $type:ty, $value:expr, [column $($csv:tt)*]) => {};
    (@member $out:ident, $field:literal, $type:ty, $value:expr, [$($csv:tt)*]) => {{
        let value: $type = $value;
        $crate::output::fields::value::Value::member(&value, concat!(",\"", $field, "\":"), $out);
    }};

    (@cells $line:ident, $layout:ident, $block:ident, $nested:ident, $field:literal, $type:ty, $value:expr, []) => {};
    (@cells $line:ident, $layout:ident, $block:ident, $nested:ident, $field:literal, $type:ty, $value:expr, $csv:tt) => {
        if const { fields!(@columns $field, $type, $csv).count($block, $layout::BIRTH) > 0 } {
            if !$nested {
                $line.to(const {
                    let columns = fields!(@columns $field, $type, $csv);
                    if $nested || columns.count($block, $layout::BIRTH) == 0 {
                        0
                    } else {
                        columns.place_in(&$layout::COLUMNS, $block, $layout::BIRTH)
                    }
                });
            }
            let value: $type = $value;
            $crate::output::fields::value::Value::cells::<$layout, $block>(&value, $line);
        }
    };

    (@describe $members:ident, $definitions:ident, $field:literal, $type:ty, $doc:expr, [column $($csv:tt)*]) => {};
    (@describe $members:ident, $definitions:ident, $field:literal, $type:ty, $doc:expr, [$($csv:tt)*]) => {
        <$type as $crate::output::fields::value::Value>::describe($field, $doc, $members, $definitions);
    };
}
pub(in crate::output) use fields;
