//! Values of rows: texts, words, and those that consist of others.

mod cached;
mod groups;
mod head;
mod lists;
mod text;
mod words;

pub(in crate::output) use cached::{Cached, Form, InCsv, InJson, Texts};
pub(in crate::output) use groups::{Flat, Object};
pub(in crate::output) use head::{Head, Kind, Start, Version};
pub(in crate::output) use lists::{Array, StateCounts, Strings};
pub(in crate::output) use text::{Comm, Family, Name, Quoted, Shown, Time, quote};
pub(in crate::output) use words::{Direction, EndRole, Mode, WhatCause, Word};
