//! The cost of the optional programs.

use std::fmt::Write as _;

use crate::{
    hooks::HookCost,
    statistics::{median, shown, with_minimum},
};

pub(super) fn render(costs: &[HookCost], floor_ns: f64, text: &mut String) {
    text.push_str(
        "What is optional, for each run of its program (median and, in brackets, minimum of the slices; above an empty program \
         means above the one in the table before, whatever the hook):\n\n\
         | Program | With | Runs | kernel ns per run | above empty |\n|---|---|---:|---:|---:|\n",
    );
    for HookCost { name, arguments, runs, ns } in costs {
        let with =
            if arguments.is_empty() { "always".to_owned() } else { format!("`{}`", arguments.join(" ")) };
        let above = median(ns).map(|ns| ns - floor_ns);
        let _ =
            writeln!(text, "| {name} | {with} | {runs} | {} | {} |", with_minimum(ns, 0), shown(above, 0));
    }
}
