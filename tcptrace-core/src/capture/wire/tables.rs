//! The forms of the tables: structures and choices.

/// A structure: the places of its fields, in order. `= VALUE` is the value of an absent field. The fields after a semicolon
/// are in no message. A field may be a part of a field (`flow.netns`); then `..VALUE` is the structure all of whose fields
/// are absent.
macro_rules! record {
    ($type:ident $(<$($parameter:ident),*>)? {
        $($number:literal $field:ident $(.$part:ident)* $(= $absent:expr)?,)*
        ..$new:expr
    }) => {
        record!(@impl $type $(<$($parameter),*>)? { $($number ($field $(.$part)*) $(= $absent)?,)* } { $new });
    };
    ($type:ident $(<$($parameter:ident),*>)? {
        $($number:literal $field:ident $(= $absent:expr)?),* $(,)? $(; $($other:ident: $value:expr),*)?
    }) => {
        record!(@impl $type $(<$($parameter),*>)? { $($number ($field) $(= $absent)?,)* } {
            Self { $($field: record!(@absent $($absent)?),)* $($($other: $value),*)? }
        });
    };
    (@impl $type:ident $(<$($parameter:ident),*>)? {
        $($number:literal ($($field:tt)*) $(= $absent:expr)?,)*
    } { $new:expr }) => {
        impl $(<$($parameter: Wire),*>)? Wire for $type $(<$($parameter),*>)? {
            fn absent() -> Self {
                $new
            }

            fn is_absent(&self) -> bool {
                $(record!(@is_absent self.$($field)* $(, $absent)?))&&*
            }

            fn write(&self, out: &mut Vec<u8>) {
                let mut len = 0;
                $(
                    if !record!(@is_absent self.$($field)* $(, $absent)?) {
                        len = $number + 1;
                    }
                )*
                put::array(out, len);
                let mut at = 0;
                $(
                    if $number >= len {
                        return;
                    }
                    // Places of removed fields.
                    for _ in at..$number {
                        put::nil(out);
                    }
                    if record!(@is_absent self.$($field)* $(, $absent)?) {
                        put::nil(out);
                    } else {
                        self.$($field)*.write(out);
                    }
                    at = $number + 1;
                )*
                let _ = at;
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                let mut this = Self::absent();
                input.fields(|number, input| {
                    match number {
                        $($number => this.$($field)* = Wire::read(input)?,)*
                        _ => input.skip()?,
                    }
                    Ok(())
                })?;
                Ok(this)
            }

            #[cfg(test)]
            fn some(chance: &mut crate::capture::wire::tests::Chance) -> Self {
                let mut this = Self::absent();
                $(this.$($field)* = Wire::some(chance);)*
                this
            }
        }
    };
    (@absent) => { Wire::absent() };
    (@absent $absent:expr) => { $absent };
    (@is_absent $value:expr) => { $value.is_absent() };
    (@is_absent $value:expr, $absent:expr) => { $value == $absent };
}

/// A choice: for each variant its number, its name in versions before 5, and whether it has a value. An absent field has the
/// first variant.
macro_rules! choice {
    ($type:ty { $first_number:literal $first_name:literal $first:ident $(($first_value:ident))?
        $(, $number:literal $name:literal $variant:ident $(($value:ident))?)* $(,)? }) => {
        impl Wire for $type {
            fn absent() -> Self {
                choice!(@absent $first $(, $first_value)?)
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    Self::$first $(($first_value))? => choice!(@write out, $first_number $(, $first_value)?),
                    $(Self::$variant $(($value))? => choice!(@write out, $number $(, $value)?),)*
                }
            }

            fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
                let (number, has_value) = input.choice(&[($first_name, $first_number) $(, ($name, $number))*])?;
                match number {
                    $first_number => choice!(@read input, has_value, $first $(, $first_value)?),
                    $($number => choice!(@read input, has_value, $variant $(, $value)?),)*
                    _ => Err(Malformed::Unknown),
                }
            }

            #[cfg(test)]
            fn some(chance: &mut crate::capture::wire::tests::Chance) -> Self {
                match chance.of(&[$first_number $(, $number)*]) {
                    $($number => choice!(@some chance, $variant $(, $value)?),)*
                    _ => choice!(@some chance, $first $(, $first_value)?),
                }
            }
        }
    };
    (@absent $variant:ident) => { Self::$variant };
    (@absent $variant:ident, $value:ident) => { Self::$variant(Wire::absent()) };
    (@some $chance:ident, $variant:ident) => { Self::$variant };
    (@some $chance:ident, $variant:ident, $value:ident) => { Self::$variant(Wire::some($chance)) };
    (@write $out:ident, $number:literal) => { put::uint($out, $number) };
    (@write $out:ident, $number:literal, $value:ident) => {{
        put::map($out, 1);
        put::uint($out, $number);
        $value.write($out);
    }};
    (@read $input:ident, $has_value:ident, $variant:ident) => {
        if $has_value { $input.skip().map(|()| Self::$variant) } else { Ok(Self::$variant) }
    };
    (@read $input:ident, $has_value:ident, $variant:ident, $value:ident) => {
        if $has_value { Wire::read($input).map(Self::$variant) } else { Err(Malformed::RANGE) }
    };
}

pub(super) use {choice, record};
